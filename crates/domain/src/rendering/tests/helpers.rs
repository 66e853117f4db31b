//! Every helper.

use super::{check, check_faults};

#[test]
fn conditions() {
    check(&[
        ("{{#and Id Address}}y{{else}}n{{/and}}", "y"),
        ("{{#and Id Nothing Address}}y{{else}}n{{/and}}", "n"),
        ("{{and Id Address yes='y' no='n'}} {{and Id Nothing}}", "y false"),
        ("{{#or Nothing Id}}y{{else}}n{{/or}} {{or Nothing Nothing no=\"n\"}}", "y n"),
        ("{{#not Nothing}}y{{/not}} {{not Id yes='y' no='n'}}", "y n"),
        ("{{#eq User.UserAttributes.FirstName \"Jane\"}}y{{else}}n{{/eq}}", "y"),
        (
            "{{#eq User.UserAttributes.Visits.[0] 17}}y{{/eq}}{{eq \"007\" \"7\"}}{{eq Metrics.Age \"17\"}}",
            "yfalsetrue",
        ),
        ("{{eq Nothing \"\"}} {{eq Nothing Nothing2}} {{eq true \"true\"}}", "false true true"),
        ("{{#neq Id \"e1\"}}y{{else}}n{{/neq}}{{neq Nothing 1}}", "ntrue"),
        (
            "{{gt User.UserAttributes.Visits 9}} {{gt \"9\" \"17\"}} {{gt \"b\" \"a\"}} {{gt Nothing 1}}",
            "true false true false",
        ),
        ("{{gte 17 User.UserAttributes.Visits}} {{gte 16 17}}", "true false"),
        ("{{#lt Metrics.Balance 5.5}}y{{/lt}} {{lt 2 1}} {{lt Nothing 1}}", "y false false"),
        ("{{lte 2 \"2.0\"}} {{lte 3 2}}", "true false"),
        ("{{yesno true}} {{yesno false}} {{yesno Nothing}}", "yes no maybe"),
        (
            "{{yesno User.UserAttributes.Vip no='nope'}} {{yesno Id yes='ja'}} {{yesno Nothing maybe='?'}}",
            "nope ja ?",
        ),
    ]);
}

#[test]
fn strings() {
    check(&[
        ("{{abbreviate \"Handlebars rocks\" 13}}", "Handlebars..."),
        ("{{abbreviate \"short\" 13}} {{abbreviate \"éééééé\" 5}}", "short éé..."),
        ("{{capitalize \"jane m doe\"}} {{capitalizeFirst \"jane doe\"}}", "Jane M Doe Jane doe"),
        ("{{capitalizeFirst (lower \"JANE\")}}", "Jane"),
        ("[{{center \"ab\" size=7}}] [{{center \"ab\" 6 pad=\"*\"}}]", "[  ab   ] [**ab**]"),
        (
            "[{{ljust \"ab\" 5}}] [{{ljust \"ab\" size=5 pad=\"-\"}}] [{{ljust \"abc\" 2}}]",
            "[ab   ] [ab---] [abc]",
        ),
        ("[{{rjust \"ab\" 5}}] [{{rjust \"ab\" 7 pad=\"12\"}}]", "[   ab] [12121ab]"),
        ("{{cut \"a b c\"}} {{cut \"a-b-c\" \"-\"}}", "abc abc"),
        (
            "{{inflect 1 \"item\" \"items\"}} {{inflect 0 \"item\" \"items\"}} {{inflect User.UserAttributes.Visits \"visit\" \"visits\" includeCount=true}}",
            "item items 17 visits",
        ),
        ("{{inflect 1 \"item\" \"items\" true}}", "1 item"),
        ("{{join Attributes.Interests \", \"}}", "Music, Travel, Tea"),
        (
            "{{join Attributes.Interests \"/\" prefix=\"<\" suffix=\">\"}} {{join \"a\" \"b\" \"c\" \"-\"}}",
            "<Music/Travel/Tea> a-b-c",
        ),
        ("{{lower \"ÀB\"}} {{upper \"àb ß\"}}", "àb ÀB SS"),
        (
            "{{ordinalize 1}} {{ordinalize \"2\"}} {{ordinalize 3}} {{ordinalize 4}} {{ordinalize 11}} {{ordinalize 112}} {{ordinalize 101}}",
            "1st 2nd 3rd 4th 11th 112th 101st",
        ),
        ("{{replace \"a-b-c\" \"-\" \"+\"}} {{replace \"abc\" \"\" \"x\"}}", "a+b+c abc"),
        ("{{slugify \" Joel is  a Slug, No. 1! \"}}", "joel-is-a-slug-no-1"),
        ("{{stripTags \"<b>bold</b> <i\nclass='x'>it</i> 1 < 2\"}}", "bold it 1 < 2"),
        (
            "{{substring \"Handlebars\" 6}} {{substring \"Handlebars\" 0 4}} {{substring \"ab\" 1 99}}|{{substring \"ab\" 9}}",
            "bars Hand b|",
        ),
        ("{{upper User.UserAttributes.FirstName}} {{upper User.UserAttributes.FirstName.[0]}}", "JANE JANE"),
        (r#"{{upper "a\"b"}} {{upper 'it\'s'}} {{upper 'a"b'}}"#, r#"A"B IT'S A"B"#),
    ]);
    check_faults(&[
        ("{{abbreviate \"long text\" 3}}", "abbreviate: length must be at least 4"),
        ("{{substring \"ab\" \"x\"}}", "substring: start must be a whole number"),
        ("{{center \"ab\"}}", "center: size is not given"),
        ("{{ordinalize \"x\"}}", "ordinalize: \"x\" is no number"),
        ("{{ordinalize 1.5}}", "no whole number"),
        ("{{inflect Id \"a\" \"b\"}}", "inflect: \"e1\" is no number"),
    ]);
}

#[test]
fn numbers() {
    check(&[
        ("{{add 7 3}} {{add \"1.5\" 2}} {{add 0.1 0.2}}", "10 3.5 0.3"),
        ("{{subtract 5 2.3}} {{subtract 1 1}} {{multiply 2.5 -4}}", "2.7 0 -10"),
        ("{{divide 5 2.3}} {{divide 10 4}} {{modulo 7 3}} {{modulo -7 3}}", "2.17391304 2.5 1 -1"),
        (
            "{{ceiling 1.2}} {{floor 1.8}} {{round 2.5}} {{round -2.5}} {{round \"2.4\"}} {{ceiling -0.5}}",
            "2 1 3 -2 2 0",
        ),
        ("{{add User.UserAttributes.Visits Metrics.Age}} {{add (multiply 2 3) 1}}", "34 7"),
    ]);
    check_faults(&[
        ("{{divide 1 0}}", "divide: division by zero"),
        ("{{modulo 1 \"0\"}}", "modulo: division by zero"),
        ("{{add \"x\" 1}}", "add: \"x\" is no number"),
        ("{{add true 1}}", "is no number"),
        ("{{round Attributes.Interests}}", "is no number"),
    ]);
}

#[test]
fn encodings() {
    check(&[
        ("{{encode64 \"Hello World\"}} {{decode64 \"SGVsbG8gV29ybGQ=\"}}", "SGVsbG8gV29ybGQ= Hello World"),
        ("{{md5 \"Hello World\"}}", "b10a8db164e0754105b7a99be72e3fe5"),
        ("{{sha256 \"Hello World\"}}", "a591a6d40bf420404a011733cfb7b190d62c65bf0bcda32b57b277d9ad9f146e"),
        ("{{substring (sha512 \"Hello World\") 0 16}}", "2c74fd17edafd80e"),
    ]);
    check_faults(&[
        ("{{decode64 \"*\"}}", "decode64: the text is not Base64"),
        ("{{decode64 \"/w==\"}}", "decode64: the decoded bytes are not UTF-8"),
    ]);
    let pair = super::render("{{uuid}} {{uuid}}").unwrap();
    let (first, second) = pair.split_once(' ').unwrap();
    assert_ne!(first, second);
    assert_eq!(pair, super::render("{{uuid}} {{uuid}}").unwrap(), "the same context makes the same ids");
    for uuid in [first, second] {
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!("89ab".contains(uuid.chars().nth(19).unwrap()));
    }
}

#[test]
fn dates() {
    check(&[
        ("{{now}}", "Sept 19, 2020"),
        (
            "{{now \"full\"}}|{{now \"long\"}}|{{now \"short\"}}",
            "Saturday, September 19, 2020|September 19, 2020|9/19/20",
        ),
        ("{{now \"yyyy-MM-dd'T'HH:mm:ss.SSSXXX\" tz=\"America/New_York\"}}", "2020-09-19T06:30:00.000-04:00"),
        (
            "{{now \"h:mm a z\" tz=\"PST\"}} {{now \"Z X\" tz=\"GMT+05:30\"}} {{now \"X\"}}",
            "3:30 AM PDT +0530 +05 Z",
        ),
        ("{{now \"EEE EEEE u D F W w yy G YYYY\"}}", "Sat Saturday 6 263 3 3 38 20 AD 2020"),
        ("{{now \"H k K h 'o''clock' ''\"}}", "10 10 10 10 o'clock '"),
        ("{{dateFormat User.UserAttributes.Joined}}", "Sept 19, 2020"),
        (
            "{{dateFormat User.UserAttributes.Joined \"MMM d\"}} {{dateFormat \"2020-01-31\" outputFormat=\"MMM d\"}}",
            "Sep 19 Jan 31",
        ),
        // A date stays the same day in every zone; an instant does not.
        ("{{dateFormat \"2020-09-19\" outputFormat=\"short\" tz=\"America/Los_Angeles\"}}", "9/19/20"),
        (
            "{{dateFormat \"2020-09-19T01:00:00Z\" outputFormat=\"short\" tz=\"America/Los_Angeles\"}}",
            "9/18/20",
        ),
        ("{{dateFormat \"2020-09-19T01:00:00+02:00\" format=\"yyyy-MM-dd HH:mm\"}}", "2020-09-18 23:00"),
        ("{{dateFormat \"2020-09-19T01:00\" \"HH:mm\" tz=\"Asia/Tokyo\"}}", "10:00"),
        ("{{dateFormat 1600511400000 \"HH:mm\"}} {{dateFormat \"1600511400\" \"HH:mm\"}}", "10:30 10:30"),
        (
            "{{dateFormat \"19-9-2020\" inputFormat=\"d-M-yyyy\" outputFormat=\"full\"}}",
            "Saturday, September 19, 2020",
        ),
        (
            "{{dateFormat \"19-9-2020\" inputFormat=\"d-M-yyyy\" outputFormat=\"short\" tz=\"PST\"}}",
            "9/19/20",
        ),
        ("{{dateFormat \"20200919\" inputFormat=\"yyyyMMdd\" outputFormat=\"long\"}}", "September 19, 2020"),
        (
            "{{dateFormat \"sat, sept 19 99 1:05 pm\" inputFormat=\"EEE, MMM d yy h:mm a\" outputFormat=\"yyyy-MM-dd HH:mm\"}}",
            "1999-09-19 13:05",
        ),
        (
            "{{dateFormat \"19 September 30 12:00 AM -0700\" inputFormat=\"d MMMM yy hh:mm a Z\" outputFormat=\"yyyy-MM-dd HH:mm\"}}",
            "2030-09-19 07:00",
        ),
    ]);
    check_faults(&[
        ("{{dateFormat \"soon\"}}", "dateFormat: \"soon\" is not an ISO 8601 date"),
        ("{{dateFormat \"2020-13-01\" inputFormat=\"yyyy-MM-dd\"}}", "\"2020-13-01\" is not a date"),
        ("{{dateFormat \"x\" inputFormat=\"yyyy\"}}", "is not a date of the form \"yyyy\""),
        ("{{now \"yyyy J\"}}", "unknown letter 'J'"),
        ("{{now \"'x\"}}", "quote"),
        ("{{now tz=\"Mars/Base\"}}", "there is no time zone \"Mars/Base\""),
    ]);
}
