//! Where the people of the sample data live: countries, their languages and cities.

use super::names::{self, Names};

pub(super) struct Country {
    /// Of two letters.
    pub(super) code: &'static str,
    /// How many people live here, compared with the others.
    pub(super) weight: u32,
    /// The languages, each with the names that its speakers have.
    pub(super) languages: &'static [(&'static str, &'static Names)],
    pub(super) cities: &'static [City],
}

pub(super) struct City {
    pub(super) name: &'static str,
    pub(super) region: &'static str,
    pub(super) timezone: &'static str,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

const fn city(
    name: &'static str,
    region: &'static str,
    timezone: &'static str,
    latitude: f64,
    longitude: f64,
) -> City {
    City { name, region, timezone, latitude, longitude }
}

pub(super) const COUNTRIES: [Country; 42] = [
    Country {
        code: "US",
        weight: 30,
        languages: &[
            ("en", &names::ENGLISH),
            ("en", &names::ENGLISH),
            ("en", &names::ENGLISH),
            ("es", &names::SPANISH),
        ],
        cities: &[
            city("New York", "NY", "America/New_York", 40.71, -74.01),
            city("Washington, D.C.", "DC", "America/New_York", 38.91, -77.04),
            city("Boston", "MA", "America/New_York", 42.36, -71.06),
            city("Chicago", "IL", "America/Chicago", 41.88, -87.63),
            city("Austin", "TX", "America/Chicago", 30.27, -97.74),
            city("Denver", "CO", "America/Denver", 39.74, -104.99),
            city("Phoenix", "AZ", "America/Phoenix", 33.45, -112.07),
            city("Seattle", "WA", "America/Los_Angeles", 47.61, -122.33),
            city("San Francisco", "CA", "America/Los_Angeles", 37.77, -122.42),
            city("Honolulu", "HI", "Pacific/Honolulu", 21.31, -157.86),
        ],
    },
    Country {
        code: "CA",
        weight: 7,
        languages: &[("en", &names::ENGLISH), ("en", &names::ENGLISH), ("fr", &names::FRENCH)],
        cities: &[
            city("Toronto", "ON", "America/Toronto", 43.65, -79.38),
            city("Montréal", "QC", "America/Toronto", 45.5, -73.57),
            city("Val-d'Or", "QC", "America/Toronto", 48.1, -77.8),
            city("Calgary", "AB", "America/Edmonton", 51.05, -114.07),
            city("Vancouver", "BC", "America/Vancouver", 49.28, -123.12),
            city("St. John's", "NL", "America/St_Johns", 47.56, -52.71),
        ],
    },
    Country {
        code: "MX",
        weight: 7,
        languages: &[("es", &names::SPANISH)],
        cities: &[
            city("Ciudad de México", "CDMX", "America/Mexico_City", 19.43, -99.13),
            city("Guadalajara", "Jalisco", "America/Mexico_City", 20.66, -103.35),
            city("Mérida", "Yucatán", "America/Merida", 20.97, -89.62),
            city("Tijuana", "Baja California", "America/Tijuana", 32.51, -117.04),
        ],
    },
    Country {
        code: "BR",
        weight: 11,
        languages: &[("pt", &names::PORTUGUESE)],
        cities: &[
            city("São Paulo", "SP", "America/Sao_Paulo", -23.55, -46.63),
            city("Rio de Janeiro", "RJ", "America/Sao_Paulo", -22.91, -43.17),
            city("Brasília", "DF", "America/Sao_Paulo", -15.79, -47.88),
            city("Recife", "PE", "America/Recife", -8.05, -34.9),
            city("Manaus", "AM", "America/Manaus", -3.12, -60.02),
        ],
    },
    Country {
        code: "AR",
        weight: 5,
        languages: &[("es", &names::SPANISH)],
        cities: &[
            city("Buenos Aires", "Buenos Aires", "America/Argentina/Buenos_Aires", -34.6, -58.38),
            city("Córdoba", "Córdoba", "America/Argentina/Cordoba", -31.42, -64.18),
        ],
    },
    Country {
        code: "CO",
        weight: 4,
        languages: &[("es", &names::SPANISH)],
        cities: &[
            city("Bogotá, D.C.", "Bogotá", "America/Bogota", 4.71, -74.07),
            city("Medellín", "Antioquia", "America/Bogota", 6.24, -75.58),
        ],
    },
    Country {
        code: "CL",
        weight: 3,
        languages: &[("es", &names::SPANISH)],
        cities: &[
            city("Santiago", "Región Metropolitana", "America/Santiago", -33.45, -70.67),
            city("Valparaíso", "Valparaíso", "America/Santiago", -33.05, -71.61),
        ],
    },
    Country {
        code: "GB",
        weight: 12,
        languages: &[("en", &names::ENGLISH)],
        cities: &[
            city("London", "England", "Europe/London", 51.51, -0.13),
            city("Manchester", "England", "Europe/London", 53.48, -2.24),
            city("Edinburgh", "Scotland", "Europe/London", 55.95, -3.19),
            city("Cardiff", "Wales", "Europe/London", 51.48, -3.18),
            city("Belfast", "Northern Ireland", "Europe/London", 54.6, -5.93),
        ],
    },
    Country {
        code: "IE",
        weight: 3,
        languages: &[("en", &names::ENGLISH)],
        cities: &[
            city("Dublin", "Leinster", "Europe/Dublin", 53.35, -6.26),
            city("Cork", "Munster", "Europe/Dublin", 51.9, -8.47),
        ],
    },
    Country {
        code: "FR",
        weight: 10,
        languages: &[("fr", &names::FRENCH)],
        cities: &[
            city("Paris", "Île-de-France", "Europe/Paris", 48.86, 2.35),
            city("Lyon", "Auvergne-Rhône-Alpes", "Europe/Paris", 45.76, 4.84),
            city("Saint-Étienne", "Auvergne-Rhône-Alpes", "Europe/Paris", 45.43, 4.39),
            city("Marseille", "Provence-Alpes-Côte d'Azur", "Europe/Paris", 43.3, 5.37),
        ],
    },
    Country {
        code: "ES",
        weight: 8,
        languages: &[("es", &names::SPANISH)],
        cities: &[
            city("Madrid", "Madrid", "Europe/Madrid", 40.42, -3.7),
            city("Barcelona", "Cataluña", "Europe/Madrid", 41.39, 2.17),
            city("Málaga", "Andalucía", "Europe/Madrid", 36.72, -4.42),
            city("Las Palmas", "Canarias", "Atlantic/Canary", 28.12, -15.43),
        ],
    },
    Country {
        code: "PT",
        weight: 3,
        languages: &[("pt", &names::PORTUGUESE)],
        cities: &[
            city("Lisboa", "Lisboa", "Europe/Lisbon", 38.72, -9.14),
            city("Porto", "Norte", "Europe/Lisbon", 41.15, -8.61),
            city("Ponta Delgada", "Açores", "Atlantic/Azores", 37.74, -25.67),
        ],
    },
    Country {
        code: "IT",
        weight: 8,
        languages: &[("it", &names::ITALIAN)],
        cities: &[
            city("Roma", "Lazio", "Europe/Rome", 41.9, 12.5),
            city("Milano", "Lombardia", "Europe/Rome", 45.46, 9.19),
            city("L'Aquila", "Abruzzo", "Europe/Rome", 42.35, 13.4),
        ],
    },
    Country {
        code: "DE",
        weight: 13,
        languages: &[("de", &names::GERMAN)],
        cities: &[
            city("Berlin", "Berlin", "Europe/Berlin", 52.52, 13.41),
            city("Hamburg", "Hamburg", "Europe/Berlin", 53.55, 9.99),
            city("München", "Bayern", "Europe/Berlin", 48.14, 11.58),
            city("Köln", "Nordrhein-Westfalen", "Europe/Berlin", 50.94, 6.96),
            city("Frankfurt am Main", "Hessen", "Europe/Berlin", 50.11, 8.68),
        ],
    },
    Country {
        code: "AT",
        weight: 3,
        languages: &[("de", &names::GERMAN)],
        cities: &[
            city("Wien", "Wien", "Europe/Vienna", 48.21, 16.37),
            city("Graz", "Steiermark", "Europe/Vienna", 47.07, 15.44),
            city("Wörgl", "Tirol", "Europe/Vienna", 47.49, 12.06),
        ],
    },
    Country {
        code: "CH",
        weight: 4,
        languages: &[("de", &names::GERMAN), ("fr", &names::FRENCH), ("it", &names::ITALIAN)],
        cities: &[
            city("Zürich", "Zürich", "Europe/Zurich", 47.37, 8.54),
            city("Genève", "Genève", "Europe/Zurich", 46.2, 6.14),
            city("Bern", "Bern", "Europe/Zurich", 46.95, 7.45),
        ],
    },
    Country {
        code: "NL",
        weight: 5,
        languages: &[("nl", &names::DUTCH)],
        cities: &[
            city("Amsterdam", "Noord-Holland", "Europe/Amsterdam", 52.37, 4.9),
            city("'s-Hertogenbosch", "Noord-Brabant", "Europe/Amsterdam", 51.69, 5.3),
            city("Utrecht", "Utrecht", "Europe/Amsterdam", 52.09, 5.12),
        ],
    },
    Country {
        code: "BE",
        weight: 3,
        languages: &[("nl", &names::DUTCH), ("fr", &names::FRENCH)],
        cities: &[
            city("Brussel", "Brussel", "Europe/Brussels", 50.85, 4.35),
            city("Liège", "Liège", "Europe/Brussels", 50.63, 5.57),
            city("Gent", "Oost-Vlaanderen", "Europe/Brussels", 51.05, 3.72),
        ],
    },
    Country {
        code: "DK",
        weight: 3,
        languages: &[("da", &names::DANISH)],
        cities: &[
            city("København", "Hovedstaden", "Europe/Copenhagen", 55.68, 12.57),
            city("Aarhus", "Midtjylland", "Europe/Copenhagen", 56.16, 10.2),
        ],
    },
    Country {
        code: "SE",
        weight: 4,
        languages: &[("sv", &names::SWEDISH)],
        cities: &[
            city("Stockholm", "Stockholm", "Europe/Stockholm", 59.33, 18.07),
            city("Göteborg", "Västra Götaland", "Europe/Stockholm", 57.71, 11.97),
            city("Malmö", "Skåne", "Europe/Stockholm", 55.6, 13.0),
        ],
    },
    Country {
        code: "NO",
        weight: 3,
        languages: &[("nb", &names::DANISH)],
        cities: &[
            city("Oslo", "Oslo", "Europe/Oslo", 59.91, 10.75),
            city("Tromsø", "Troms", "Europe/Oslo", 69.65, 18.96),
        ],
    },
    Country {
        code: "FI",
        weight: 3,
        languages: &[
            ("fi", &names::FINNISH),
            ("fi", &names::FINNISH),
            ("fi", &names::FINNISH),
            ("sv", &names::SWEDISH),
        ],
        cities: &[
            city("Helsinki", "Uusimaa", "Europe/Helsinki", 60.17, 24.94),
            city("Jyväskylä", "Keski-Suomi", "Europe/Helsinki", 62.24, 25.75),
        ],
    },
    Country {
        code: "PL",
        weight: 6,
        languages: &[("pl", &names::POLISH)],
        cities: &[
            city("Warszawa", "Mazowieckie", "Europe/Warsaw", 52.23, 21.01),
            city("Kraków", "Małopolskie", "Europe/Warsaw", 50.06, 19.94),
            city("Łódź", "Łódzkie", "Europe/Warsaw", 51.76, 19.46),
        ],
    },
    Country {
        code: "CZ",
        weight: 3,
        languages: &[("cs", &names::CZECH)],
        cities: &[
            city("Praha", "Praha", "Europe/Prague", 50.08, 14.44),
            city("Plzeň", "Plzeňský kraj", "Europe/Prague", 49.75, 13.38),
        ],
    },
    Country {
        code: "GR",
        weight: 3,
        languages: &[("el", &names::GREEK)],
        cities: &[
            city("Αθήνα", "Αττική", "Europe/Athens", 37.98, 23.73),
            city("Θεσσαλονίκη", "Κεντρική Μακεδονία", "Europe/Athens", 40.64, 22.94),
        ],
    },
    Country {
        code: "UA",
        weight: 4,
        languages: &[("uk", &names::UKRAINIAN)],
        cities: &[
            city("Київ", "Київ", "Europe/Kyiv", 50.45, 30.52),
            city("Львів", "Львівська область", "Europe/Kyiv", 49.84, 24.03),
        ],
    },
    Country {
        code: "TR",
        weight: 5,
        languages: &[("tr", &names::TURKISH)],
        cities: &[
            city("İstanbul", "İstanbul", "Europe/Istanbul", 41.01, 28.98),
            city("Eskişehir", "Eskişehir", "Europe/Istanbul", 39.77, 30.52),
        ],
    },
    Country {
        code: "EG",
        weight: 4,
        languages: &[("ar", &names::ARABIC)],
        cities: &[
            city("القاهرة", "القاهرة", "Africa/Cairo", 30.04, 31.24),
            city("الإسكندرية", "الإسكندرية", "Africa/Cairo", 31.2, 29.92),
        ],
    },
    Country {
        code: "AE",
        weight: 3,
        languages: &[("ar", &names::ARABIC), ("en", &names::INDIAN)],
        cities: &[
            city("Dubai", "Dubai", "Asia/Dubai", 25.2, 55.27),
            city("Abu Dhabi", "Abu Dhabi", "Asia/Dubai", 24.45, 54.38),
        ],
    },
    Country {
        code: "IL",
        weight: 2,
        languages: &[("he", &names::HEBREW)],
        cities: &[
            city("תל אביב-יפו", "תל אביב", "Asia/Jerusalem", 32.07, 34.78),
            city("חיפה", "חיפה", "Asia/Jerusalem", 32.79, 34.99),
        ],
    },
    Country {
        code: "ZA",
        weight: 4,
        languages: &[("en", &names::ENGLISH), ("zu", &names::ZULU)],
        cities: &[
            city("Cape Town", "Western Cape", "Africa/Johannesburg", -33.92, 18.42),
            city("Durban", "KwaZulu-Natal", "Africa/Johannesburg", -29.86, 31.02),
        ],
    },
    Country {
        code: "NG",
        weight: 5,
        languages: &[("en", &names::NIGERIAN)],
        cities: &[
            city("Lagos", "Lagos", "Africa/Lagos", 6.52, 3.38),
            city("Abuja", "FCT", "Africa/Lagos", 9.06, 7.5),
        ],
    },
    Country {
        code: "KE",
        weight: 3,
        languages: &[("en", &names::KENYAN), ("sw", &names::KENYAN)],
        cities: &[
            city("Nairobi", "Nairobi", "Africa/Nairobi", -1.29, 36.82),
            city("Mombasa", "Mombasa", "Africa/Nairobi", -4.04, 39.67),
        ],
    },
    Country {
        code: "IN",
        weight: 16,
        languages: &[("en", &names::INDIAN), ("hi", &names::INDIAN)],
        cities: &[
            city("Mumbai", "Maharashtra", "Asia/Kolkata", 19.08, 72.88),
            city("Bengaluru", "Karnataka", "Asia/Kolkata", 12.97, 77.59),
            city("New Delhi", "Delhi", "Asia/Kolkata", 28.61, 77.21),
            city("Chennai", "Tamil Nadu", "Asia/Kolkata", 13.08, 80.27),
        ],
    },
    Country {
        code: "JP",
        weight: 9,
        languages: &[("ja", &names::JAPANESE)],
        cities: &[
            city("東京", "東京都", "Asia/Tokyo", 35.68, 139.69),
            city("大阪", "大阪府", "Asia/Tokyo", 34.69, 135.5),
            city("札幌", "北海道", "Asia/Tokyo", 43.06, 141.35),
        ],
    },
    Country {
        code: "KR",
        weight: 5,
        languages: &[("ko", &names::KOREAN)],
        cities: &[
            city("서울", "서울특별시", "Asia/Seoul", 37.57, 126.98),
            city("부산", "부산광역시", "Asia/Seoul", 35.18, 129.08),
        ],
    },
    Country {
        code: "TW",
        weight: 3,
        languages: &[("zh", &names::CHINESE)],
        cities: &[
            city("臺北", "臺北市", "Asia/Taipei", 25.03, 121.57),
            city("高雄", "高雄市", "Asia/Taipei", 22.63, 120.3),
        ],
    },
    Country {
        code: "SG",
        weight: 3,
        languages: &[("en", &names::SINGAPOREAN)],
        cities: &[city("Singapore", "Singapore", "Asia/Singapore", 1.35, 103.82)],
    },
    Country {
        code: "VN",
        weight: 4,
        languages: &[("vi", &names::VIETNAMESE)],
        cities: &[
            city("Hà Nội", "Hà Nội", "Asia/Ho_Chi_Minh", 21.03, 105.85),
            city("Đà Nẵng", "Đà Nẵng", "Asia/Ho_Chi_Minh", 16.05, 108.2),
        ],
    },
    Country {
        code: "ID",
        weight: 5,
        languages: &[("id", &names::INDONESIAN)],
        cities: &[
            city("Jakarta", "DKI Jakarta", "Asia/Jakarta", -6.21, 106.85),
            city("Denpasar", "Bali", "Asia/Makassar", -8.65, 115.22),
            city("Jayapura", "Papua", "Asia/Jayapura", -2.53, 140.72),
        ],
    },
    Country {
        code: "AU",
        weight: 6,
        languages: &[("en", &names::ENGLISH)],
        cities: &[
            city("Sydney", "NSW", "Australia/Sydney", -33.87, 151.21),
            city("Brisbane", "QLD", "Australia/Brisbane", -27.47, 153.03),
            city("Adelaide", "SA", "Australia/Adelaide", -34.93, 138.6),
            city("Darwin", "NT", "Australia/Darwin", -12.46, 130.84),
            city("Perth", "WA", "Australia/Perth", -31.95, 115.86),
        ],
    },
    Country {
        code: "NZ",
        weight: 3,
        languages: &[("en", &names::ENGLISH)],
        cities: &[
            city("Auckland", "Auckland", "Pacific/Auckland", -36.85, 174.76),
            city("Whangārei", "Northland", "Pacific/Auckland", -35.73, 174.32),
            city("Waitangi", "Chatham Islands", "Pacific/Chatham", -43.95, -176.56),
        ],
    },
];
