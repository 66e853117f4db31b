//! What the people of the sample data are called, and how a name reads in an e-mail address.

/// Names of one language, divided by `|`. A name in another script than Latin has its reading after `=`. A family name that
/// differs has the man's before `/` and the woman's after it.
pub(super) struct Names {
    pub(super) women: &'static str,
    pub(super) men: &'static str,
    pub(super) families: &'static str,
}

/// A name as it is written, and in the letters of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) written: String,
    pub(super) ascii: String,
}

impl Name {
    /// Reads one entry of a list, in the woman's form or the man's.
    pub(super) fn read(entry: &str, is_woman: bool) -> Self {
        let (man, woman) = entry.split_once('/').unwrap_or((entry, entry));
        let form = if is_woman { woman } else { man };
        let (written, reading) = form.split_once('=').unwrap_or((form, form));
        Self { written: written.to_owned(), ascii: to_ascii(reading) }
    }
}

/// Lower-case letters without accents; what is no letter falls away.
fn to_ascii(name: &str) -> String {
    let mut ascii = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        if letter.is_ascii_lowercase() || letter == '-' {
            ascii.push(letter);
        } else if let Some((plain, _)) = ACCENTED.iter().find(|(_, accented)| accented.contains(letter)) {
            ascii.push_str(plain);
        }
    }
    ascii
}

const ACCENTED: [(&str, &str); 18] = [
    ("a", "àáâãäåāăąạảấầẩẫậắằẳẵặ"),
    ("ae", "æ"),
    ("c", "çćč"),
    ("d", "ðďđ"),
    ("e", "èéêëēęěẹẻẽếềểễệ"),
    ("g", "ğ"),
    ("i", "ìíîïīıịỉĩ"),
    ("l", "ľł"),
    ("n", "ñńň"),
    ("o", "òóôõöøōőọỏốồổỗộơớờởỡợ"),
    ("oe", "œ"),
    ("r", "řŕ"),
    ("s", "śšş"),
    ("ss", "ß"),
    ("t", "ťţ"),
    ("u", "ùúûüūůűụủũưứừửữự"),
    ("y", "ýÿỳỵỷỹ"),
    ("z", "źżž"),
];

pub(super) const ENGLISH: Names = Names {
    women: "Olivia|Emma|Amelia|Charlotte|Sophie|Grace|Hannah|Zoë|Chloe|Abigail|Evelyn|Siobhán|Margaret \"Peggy\"=peggy|Ruby|Isla",
    men: "James|William|Oliver|Henry|Jack|Thomas|Benjamin|Samuel|Daniel|Seán|Robert \"Bob\"=bob|Noah|Lucas|Ethan|George",
    families: "Smith|Johnson|Williams|Brown|Taylor|Davies|Wilson|Evans|O'Brien|O'Connor|Walker|Wright|Robinson|Thompson|White|\
               Hughes|Edwards|Green|Hall|Clarke|Smith-Jones|MacDonald|Murphy|Kelly|Campbell|Mitchell|Turner|Parker|Collins|\
               Reid|Brontë|Ward|Cooper|Bennett|Foster|Hayes|Sullivan|Barnes",
};

pub(super) const FRENCH: Names = Names {
    women: "Camille|Léa|Manon|Chloé|Inès|Zoé|Élise|Hélène|Amélie|Françoise|Marie-Claire|Juliette|Océane|Anaïs|Margaux",
    men: "Lucas|Hugo|Théo|Jérôme|François|Noël|Gaël|Antoine|Jean-Pierre|Mathéo|Benoît|Rémi|Louis|Étienne|Clément",
    families: "Martin|Bernard|Dubois|Thomas|Robert|Richard|Petit|Durand|Leroy|Moreau|Lefèvre|Lemaître|François|Garçon|\
               d'Aubigné|Châtelain|Gauthier|Perrin|Clément|Bérenger|Le Goff|Rousseau|Blanchet|Guérin",
};

pub(super) const SPANISH: Names = Names {
    women: "María José|Lucía|Sofía|Martina|Valentina|Camila|Inés|Begoña|Ximena|Paula|Carmen|Rocío|Elena|Daniela|Itzel",
    men: "Hugo|Mateo|Martín|José|Iñaki|Álvaro|Ángel|Andrés|Santiago|Joaquín|Sebastián|Juan Carlos|Emiliano|Tomás|Rubén",
    families: "García López|Fernández|González|Rodríguez|Martínez|Sánchez|Pérez|Gómez|Muñoz|Ibáñez|Núñez|Jiménez|Álvarez|\
               Romero|Torres|Vázquez|Castillo|Ortega|Peña|Herrera|Domínguez|de la Cruz|Quiñones|Zúñiga",
};

pub(super) const PORTUGUESE: Names = Names {
    women: "Ana Luíza|Beatriz|Júlia|Letícia|Inês|Conceição|Helena|Larissa|Mariana|Fátima|Gabriela|Luana|Antônia|Catarina",
    men: "João|Miguel|Antônio|José|Luís|Gonçalo|Otávio|Davi|Thiago|Rafael|Estêvão|Bernardo|Caio|Vinícius",
    families: "Silva|Santos|Oliveira|Souza|Lima|Araújo|Gonçalves|Conceição|Magalhães|Guimarães|Simões|Pereira|Ferreira|\
               dos Anjos|Ribeiro|Carvalho|Brandão|Fonseca|Assunção|Leitão|Moraes|Pinto",
};

pub(super) const ITALIAN: Names = Names {
    women: "Giulia|Sofia|Aurora|Chiara|Francesca|Alessia|Beatrice|Noemi|Ginevra|Martina|Federica|Elisa|Caterina",
    men: "Leonardo|Francesco|Lorenzo|Niccolò|Andrea|Matteo|Davide|Riccardo|Tommaso|Giosuè|Luca|Edoardo|Pietro",
    families: "Rossi|Russo|Ferrari|Esposito|Bianchi|Romano|Colombo|Ricci|Marino|Greco|Bruno|Gallo|Conti|De Luca|\
               D'Angelo|Dell'Acqua|Giordano|Rizzo|Lombardi|Moretti|Cantù|Di Stefano",
};

pub(super) const GERMAN: Names = Names {
    women: "Mia|Emilia|Hannah|Sophia|Lena|Jördis|Käthe|Anneliese|Clara|Frieda|Mathilda|Greta|Luise|Ute|Heike",
    men: "Ben|Paul|Leon|Finn|Jürgen|Jörg|Günther|Matthäus|Felix|Maximilian|Karl-Heinz|Uwe|Emil|Anton|Moritz",
    families: "Müller|Schmidt|Schneider|Fischer|Weber|Meyer|Wagner|Becker|Schäfer|Koch|Bauer|Richter|Schröder|Neumann|Krüger|\
               Weiß|Großmann|Böhm|Jäger|von der Heide|Vogt|Kühn|Hofmann|Lindner",
};

pub(super) const DUTCH: Names = Names {
    women: "Emma|Julia|Saar|Tess|Fleur|Anouk|Lotte|Sanne|Noor|Femke|Zoë|Renée",
    men: "Noah|Daan|Sem|Bram|Thijs|Jurriaan|Gijs|Ruben|Joost|Maarten|André|Loïc|Wouter",
    families: "de Jong|Jansen|de Vries|van den Berg|van Dijk|Bakker|Visser|Smit|Meijer|de Boer|Mulder|Bos|Vos|Peeters|\
               Janssens|Maes|Claes|Wouters|'t Hart|van 't Hof|Hendriks|Dekker",
};

pub(super) const DANISH: Names = Names {
    women: "Ida|Freja|Karla|Signe|Maja|Astrid|Søs|Bodil|Åse|Liv|Solveig|Ingrid|Nora",
    men: "William|Oscar|Magnus|Søren|Jørgen|Håkon|Bjørn|Nikolaj|Øystein|Lars|Emil|Aksel|Pål",
    families: "Nielsen|Jensen|Hansen|Pedersen|Andersen|Sørensen|Jørgensen|Møller|Kjær|Bøgh|Ødegård|Haugen|Solberg|Bakken|\
               Nygård|Strøm|Dahl|Holm|Lund|Vestergaard",
};

pub(super) const SWEDISH: Names = Names {
    women: "Alice|Maja|Elsa|Astrid|Åsa|Saga|Wilma|Linnéa|Märta|Ebba|Ingrid|Kajsa|Tuva",
    men: "Erik|Lars|Karl|Göran|Björn|Axel|Nils|Sören|Håkan|Linus|Viktor|Gustav|Åke",
    families: "Andersson|Johansson|Karlsson|Nilsson|Eriksson|Larsson|Olsson|Persson|Sjöberg|Lindström|Björk|Åkesson|Söderberg|\
               Öberg|Hedlund|Bergström|Nyström|Engström|Wallin|Ek",
};

pub(super) const FINNISH: Names = Names {
    women: "Aino|Helmi|Venla|Kerttu|Päivi|Säde|Anneli|Hilla|Tuulikki|Marjatta|Sirpa|Iida",
    men: "Eino|Väinö|Onni|Oiva|Jyrki|Pertti|Toivo|Heikki|Pentti|Yrjö|Mikko|Antti",
    families: "Korhonen|Virtanen|Mäkinen|Nieminen|Mäkelä|Hämäläinen|Laine|Heikkinen|Koskinen|Järvinen|Lehtonen|Lehtinen|\
               Saarinen|Niemi|Salonen|Yli-Koski|Väisänen|Pöyhönen",
};

pub(super) const POLISH: Names = Names {
    women: "Zofia|Hanna|Maja|Małgorzata|Agnieszka|Elżbieta|Łucja|Żaneta|Katarzyna|Jadwiga|Oliwia|Świętosława",
    men: "Antoni|Jakub|Łukasz|Paweł|Michał|Stanisław|Wojciech|Mikołaj|Józef|Rafał|Bartłomiej|Grzegorz",
    families: "Nowak|Kowalski/Kowalska|Wiśniewski/Wiśniewska|Wójcik|Kowalczyk|Kamiński/Kamińska|Lewandowski/Lewandowska|\
               Zieliński/Zielińska|Szymański/Szymańska|Woźniak|Dąbrowski/Dąbrowska|Kozłowski/Kozłowska|Jabłoński/Jabłońska|\
               Mazur|Krawczyk|Wróbel|Zając|Pająk|Ćwik|Źrebiec",
};

pub(super) const CZECH: Names = Names {
    women: "Eliška|Tereza|Anežka|Adéla|Barbora|Kateřina|Zdeňka|Růžena|Lucie|Markéta|Šárka|Jiřina",
    men: "Jakub|Jiří|Tomáš|Ondřej|Lukáš|Matěj|Vojtěch|Zdeněk|Luděk|Štěpán|František|Václav",
    families: "Novák/Nováková|Svoboda/Svobodová|Novotný/Novotná|Dvořák/Dvořáková|Černý/Černá|Procházka/Procházková|\
               Kučera/Kučerová|Veselý/Veselá|Horák/Horáková|Němec/Němcová|Růžička/Růžičková|Krejčí|Beneš/Benešová|\
               Fiala/Fialová|Sedláček/Sedláčková|Řezníček/Řezníčková|Šťastný/Šťastná",
};

pub(super) const GREEK: Names = Names {
    women: "Μαρία=maria|Ελένη=eleni|Κατερίνα=katerina|Σοφία=sofia|Άννα=anna|Γεωργία=georgia|Δήμητρα=dimitra|Ιωάννα=ioanna",
    men: "Γιώργος=giorgos|Δημήτρης=dimitris|Νίκος=nikos|Κώστας=kostas|Γιάννης=giannis|Παναγιώτης=panagiotis|Σπύρος=spyros",
    families: "Παπαδόπουλος=papadopoulos/Παπαδοπούλου=papadopoulou|Οικονόμου=oikonomou|Γεωργίου=georgiou|Νικολάου=nikolaou|\
               Βασιλείου=vasileiou|Αντωνίου=antoniou|Δημητρίου=dimitriou|Παππάς=pappas/Παππά=pappa|\
               Μακρής=makris/Μακρή=makri|Αγγελόπουλος=angelopoulos/Αγγελοπούλου=angelopoulou|Χατζής=chatzis/Χατζή=chatzi",
};

pub(super) const UKRAINIAN: Names = Names {
    women: "Олена=olena|Марія=mariia|Софія=sofiia|Оксана=oksana|Наталія=nataliia|Юлія=yuliia|Дарина=daryna|Ірина=iryna",
    men: "Андрій=andrii|Олександр=oleksandr|Тарас=taras|Богдан=bohdan|Микола=mykola|Дмитро=dmytro|Юрій=yurii|Максим=maksym",
    families: "Шевченко=shevchenko|Коваленко=kovalenko|Бондаренко=bondarenko|Ткаченко=tkachenko|Кравченко=kravchenko|\
               Олійник=oliinyk|Мельник=melnyk|Поліщук=polishchuk|Савчук=savchuk|Лисенко=lysenko|Мороз=moroz|Гончар=honchar|\
               Вовк=vovk|Руденко=rudenko",
};

pub(super) const TURKISH: Names = Names {
    women: "Zeynep|Elif|Ayşe|Fatma|Gülşen|Özlem|Çiğdem|Şule|Büşra|Işıl|Defne|İrem",
    men: "Mehmet|Mustafa|Yiğit|Ömer|Çağatay|Oğuz|Şahin|Gökhan|İbrahim|Uğur|Kerem|Barış",
    families: "Yılmaz|Kaya|Demir|Şahin|Çelik|Yıldız|Öztürk|Aydın|Özdemir|Arslan|Doğan|Kılıç|Çetin|Koç|Şimşek|Güneş|Aksoy|Işık",
};

pub(super) const ARABIC: Names = Names {
    women: "فاطمة=fatma|مريم=mariam|نور=nour|سارة=sara|ليلى=layla|هدى=hoda|أمينة=amina|ياسمين=yasmin",
    men: "محمد=mohamed|أحمد=ahmed|عمر=omar|خالد=khaled|يوسف=youssef|كريم=karim|طارق=tarek|حسن=hassan",
    families: "حسن=hassan|إبراهيم=ibrahim|عبد الله=abdallah|السيد=elsayed|منصور=mansour|سليمان=soliman|الشريف=elsherif|\
               النجار=elnaggar|فاروق=farouk|المصري=elmasry|حداد=haddad|صالح=saleh|ناصر=nasser|رمضان=ramadan",
};

pub(super) const HEBREW: Names = Names {
    women: "נועה=noa|תמר=tamar|מאיה=maya|שירה=shira|יעל=yael|מיכל=michal|אביגיל=avigail",
    men: "דוד=david|יוסף=yosef|נועם=noam|איתי=itai|אורי=uri|יונתן=yonatan|דניאל=daniel",
    families: "כהן=cohen|לוי=levi|מזרחי=mizrahi|פרץ=peretz|ביטון=biton|דהן=dahan|אברהם=avraham|פרידמן=friedman|\
               שפירא=shapira|גולן=golan|בן-דוד=ben-david|כץ=katz",
};

pub(super) const ZULU: Names = Names {
    women: "Nomvula|Thandeka|Zanele|Lindiwe|Nokuthula|Ayanda|Busisiwe|Ntombi|Sibongile",
    men: "Sipho|Thabo|Bongani|Mandla|Sibusiso|Themba|Lwazi|Nkosinathi|Mduduzi",
    families: "Dlamini|Nkosi|Ndlovu|Khumalo|Mokoena|Mthembu|Zulu|Sithole|Mahlangu|Ngcobo|Zungu|Buthelezi|Cele|Gumede",
};

pub(super) const NIGERIAN: Names = Names {
    women: "Adaeze|Ngozi|Chiamaka|Folake|Yetunde|Amina|Zainab|Ifeoma|Temitope|Halima|Blessing",
    men: "Chinedu|Emeka|Oluwaseun|Babatunde|Ibrahim|Musa|Tunde|Obinna|Kelechi|Segun|Yusuf",
    families: "Okafor|Adeyemi|Balogun|Okonkwo|Eze|Ibrahim|Bello|Abubakar|Adebayo|Ogunleye|Nwosu|Chukwu|Danjuma|Olawale|Udo|Obi",
};

pub(super) const KENYAN: Names = Names {
    women: "Wanjiru|Akinyi|Achieng|Njeri|Faith|Mercy|Chebet|Wambui|Zawadi|Halima",
    men: "Kamau|Otieno|Kipchoge|Mwangi|Brian|Kevin|Ochieng|Juma|Kiprono|Barasa",
    families: "Mwangi|Ochieng|Kimani|Wafula|Njoroge|Odhiambo|Kariuki|Mutua|Cheruiyot|Omondi|Ng'ang'a|Koech|Maina|Were",
};

pub(super) const INDIAN: Names = Names {
    women: "Aadhya|Ananya|Priya|Diya|Kavya|Lakshmi|Meera|Neha|Pooja|Saanvi|Sunita|Fatima|Harpreet",
    men: "Aarav|Arjun|Vivaan|Rohan|Rahul|Sanjay|Vikram|Imran|Karthik|Aditya|Manish|Suresh|Gurpreet",
    families: "Sharma|Patel|Singh|Kumar|Reddy|Nair|Iyer|Gupta|Khan|Das|Joshi|Mehta|Rao|Pillai|Chatterjee|Banerjee|Kaur|\
               Desai|Menon|Bose|Agarwal|Verma|Fernandes|Mishra",
};

pub(super) const JAPANESE: Names = Names {
    women: "陽菜=hina|結衣=yui|さくら=sakura|美咲=misaki|葵=aoi|愛=ai|由美子=yumiko|恵=megumi|香織=kaori",
    men: "蓮=ren|大翔=hiroto|悠斗=yuto|健太=kenta|拓也=takuya|翔=sho|直樹=naoki|誠=makoto|隆=takashi",
    families: "佐藤=sato|鈴木=suzuki|高橋=takahashi|田中=tanaka|伊藤=ito|渡辺=watanabe|山本=yamamoto|中村=nakamura|\
               小林=kobayashi|加藤=kato|吉田=yoshida|山田=yamada|佐々木=sasaki|松本=matsumoto|井上=inoue|木村=kimura|\
               林=hayashi|斎藤=saito|清水=shimizu|森=mori",
};

pub(super) const KOREAN: Names = Names {
    women: "서연=seoyeon|지우=jiwoo|민서=minseo|하은=haeun|수빈=subin|은지=eunji|유진=yujin|지혜=jihye",
    men: "민준=minjun|서준=seojun|도윤=doyun|지훈=jihoon|현우=hyunwoo|성민=sungmin|재현=jaehyun|동현=donghyun",
    families: "김=kim|이=lee|박=park|최=choi|정=jung|강=kang|조=cho|윤=yoon|장=jang|임=lim|한=han|오=oh|서=seo|신=shin",
};

pub(super) const CHINESE: Names = Names {
    women: "淑芬=shu-fen|怡君=yi-chun|雅婷=ya-ting|美玲=mei-ling|欣怡=hsin-yi|佳穎=chia-ying|詩涵=shih-han",
    men: "志明=chih-ming|俊傑=chun-chieh|建宏=chien-hung|家豪=chia-hao|冠宇=kuan-yu|承恩=cheng-en|宗翰=tsung-han",
    families: "陳=chen|林=lin|黃=huang|張=chang|李=li|王=wang|吳=wu|劉=liu|蔡=tsai|楊=yang|許=hsu|鄭=cheng|謝=hsieh|郭=kuo",
};

pub(super) const SINGAPOREAN: Names = Names {
    women: "Wei Ling|Hui Min|Siew Ling|Nurul Aisyah|Priya|Xin Yi|Mei Fen|Siti Aminah|Jia Hui",
    men: "Wei Jie|Jun Hao|Muhammad Hafiz|Kok Leong|Zhi Hao|Arun|Boon Keat|Ahmad Faizal|Kai Xiang",
    families: "Tan|Lim|Lee|Ng|Ong|Wong|Goh|Chua|Chan|Koh|Teo|Ang|Yeo|Tay|Ho|Low|bin Rahman/binte Rahman|Pillai",
};

pub(super) const VIETNAMESE: Names = Names {
    women: "Thị Hương|Ngọc Ánh|Thu Hà|Thanh Thảo|Mỹ Linh|Bích Phượng|Quỳnh Như|Diễm My|Hồng Nhung",
    men: "Văn Hùng|Minh Đức|Quốc Bảo|Anh Tuấn|Hữu Phước|Đình Trọng|Thành Đạt|Công Vinh|Xuân Trường",
    families: "Nguyễn|Trần|Lê|Phạm|Hoàng|Huỳnh|Phan|Vũ|Võ|Đặng|Bùi|Đỗ|Hồ|Ngô|Dương|Lý",
};

pub(super) const INDONESIAN: Names = Names {
    women: "Siti Nurhaliza|Dewi|Putri|Ayu|Rina|Fitri|Indah|Wulan|Ni Luh|Kartika|Sri Wahyuni",
    men: "Budi|Agus|Dwi|Eko|Rizky|Andi|Wayan|Made|Bambang|Fajar|Hendra|Yusuf",
    families: "Santoso|Wijaya|Susanto|Hidayat|Saputra|Pratama|Setiawan|Nugroho|Siregar|Nasution|Simanjuntak|Kusuma|Halim|\
               Gunawan|Lestari|Suryadi|Tarigan",
};
