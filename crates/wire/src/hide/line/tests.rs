//! Secrets in lines of logs.

mod programs;

use super::*;
use proptest::prelude::*;

#[test]
fn secrets_are_hidden() {
    for (text, safe) in [
        ("login password=hunter2 failed", "login password=*** failed"),
        ("PASSWORD: \"hunter 2\", next", "PASSWORD: \"***\", next"),
        (r#"{"user":"al","apiToken":"abc","n":1}"#, r#"{"user":"al","apiToken":"***","n":1}"#),
        (r#"{"log":"{\"token\":\"abc\"}"}"#, r#"{"log":"{\"token\":\"***\"}"}"#),
        ("GET /a?token=abc&x=1", "GET /a?token=***&x=1"),
        ("msg=token:abc", "msg=token:***"),
        ("ERROR: password: hunter2", "ERROR: password: ***"),
        ("app: api_key: abc4 x", "app: api_key: *** x"),
        ("password=[hunter2]", "password=[***]"),
        (r#"{"tokens":1,"api_token":["abc4"]}"#, r#"{"tokens":1,"api_token":[***]}"#),
        ("password: Some(\"hunter2\") x", "password: *** x"),
        ("password=b'hunter2' x", "password=b'***' x"),
        (r#"{"password":"ab\"cdef","a":1}"#, r#"{"password":"***","a":1}"#),
        (r#"{"log":"{\"password\":\"ab\\\"cd\",\"a\":1}"}"#, r#"{"log":"{\"password\":\"***\",\"a\":1}"}"#),
        ("Authorization: Token token=\"short\", x", "Authorization: ***"),
        ("Cookie: prefs=\"abc\"; b=\"c\"", "Cookie: ***"),
        ("map[Authorization:[Bearer a b] Cookie:[c]]", "map[Authorization:[***] Cookie:[***]]"),
        ("a user[password]=x&b=1", "a user[password]=***&b=1"),
        ("POST user%5Bpassword%5D=x%26y", "POST user%5Bpassword%5D=***"),
        ("    [password] => x", "    [password] => ***"),
        ("q=token%3Dabc x", "q=token%3D*** x"),
        ("<a><password>x y</password><b>1</b>", "<a><password>***</password><b>1</b>"),
        ("<db:password type=\"t\">x</db:password>", "<db:password type=\"t\">***</db:password>"),
        ("<password><![CDATA[a<b]]></password>", "<password>***</password>"),
        ("(\"password\", \"x y\")", "(\"password\", \"***\")"),
        ("{name: DB_PASSWORD, value: x}", "{name: DB_PASSWORD, value: ***}"),
        (r#"{"name":"DB_PASSWORD","value":"x"}"#, r#"{"name":"DB_PASSWORD","value":"***"}"#),
        ("postgres://app:p@ss@db/x", "postgres://***@db/x"),
        ("postgres://app:p/ss@db/x", "postgres://***@db/x"),
        ("dsn app:pw@tcp(db:3306)/shop", "dsn ***@tcp(db:3306)/shop"),
        ("password=$(cat /x y) z", "password=*** z"),
        ("passphrase: correct horse battery", "passphrase: ***"),
        ("pin=123 otp: 456 passcode=1", "pin=*** otp: *** passcode=***"),
        (
            "dbpass=x privatekey=y secretkey=z accesskey=a",
            "dbpass=*** privatekey=*** secretkey=*** accesskey=***",
        ),
        (
            "sessionid=a JSESSIONID=b; PHPSESSID=c; csrf=d",
            "sessionid=*** JSESSIONID=***; PHPSESSID=***; csrf=***",
        ),
        ("tokens=ab passwords: cd", "tokens=*** passwords: ***"),
        ("the password is \"a b\"", "the password is \"***\""),
        ("got /wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "got ***"),
        ("MIIEpA-----END RSA PRIVATE KEY-----", "***-----END RSA PRIVATE KEY-----"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK----- lQ", "-----BEGIN PGP PRIVATE KEY BLOCK-----***"),
        ("string password[\"password\"]=> string(7) \"hunter2\"", "string password[\"password\"]=> ***"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        (r#""authorization": "Basic abc", "a": 1"#, r#""authorization": "***", "a": 1"#),
        ("Cookie: a=b; c=d", "Cookie: ***"),
        ("sent bearer abcdefgh to x", "sent bearer *** to x"),
        ("postgres://app:pw@db/x", "postgres://***@db/x"),
        ("psql --password hunter2", "psql --password ***"),
        ("the password is hunter2", "the password is ***"),
        ("key AKIAIOSFODNN7EXAMPLE used", "key *** used"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = ***"),
        ("got wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "got ***"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln!", "jwt ***!"),
        ("h=d41d8cd98f00b204e9800998ecf8427e", "h=***"),
        ("-----BEGIN RSA PRIVATE KEY----- MIIE", "-----BEGIN RSA PRIVATE KEY-----***"),
    ] {
        assert_eq!(line(text), safe);
        assert_eq!(line(safe), safe, "hiding twice changes nothing");
    }
}

#[test]
fn a_line_of_nothing_but_names_needs_no_large_stack() {
    // A thread that reads logs has a stack of this size.
    let read = std::thread::Builder::new().stack_size(1 << 20).spawn(|| line(&"a=".repeat(2048)));
    assert_eq!(read.unwrap().join().unwrap(), "a=".repeat(2048));
}

#[test]
fn texts_that_are_no_secrets_are_shown() {
    for text in [
        "ERROR status code: 500, exit code=137",
        "panic at com.example.shop.OrderServiceImplementationFactory.java:42",
        "request 0b5d1f8e-0a4c-4f6e-9d6a-1f2e3d4c5b6a failed after 12.5ms",
        "open /usr/lib/systemd/system/checkout.service: No such file or directory",
        "2026-11-26T20:31:52.123456Z ERROR http://10.1.2.3:8080/checkout/orders?id=17 user=alice",
        "GET https://registry.example/@babel/core 404 in 12ms",
        "mail to alice@example.com failed: (code 550) bypass=true pinned=1",
        "{\"level\":\"error\",\"name\":\"checkout\",\"value\":17,\"code\":500}",
        "[\"orders\", \"baskets\"] <b>text</b> open /usr/local/lib/App2/x86_64/libshop",
    ] {
        assert_eq!(line(text), text);
    }
}

#[test]
fn values_of_headers_are_hidden_as_a_whole() {
    for (text, safe) in [
        (r#""Authorization": Basic YTpi"#, r#""Authorization": ***"#),
        ("'authorization': Token abcd", "'authorization': ***"),
        (r#""Cookie": theme=dark; sid2=def"#, r#""Cookie": ***"#),
        (r#""Cookie": ["a=b","c=d"], "n": 1"#, r#""Cookie": [***], "n": 1"#),
        (r#"curl -H "Authorization: Basic YTpi" http://x"#, r#"curl -H "Authorization: ***" http://x"#),
        (r#"{"authorization":null,"status":502}"#, r#"{"authorization":null,"status":502}"#),
        ("cookie=- status=502", "cookie=- status=502"),
        (r#"{"Cookie":[]string{"sid=ab"}}"#, r#"{"Cookie":[]string{***}}"#),
    ] {
        assert_eq!(line(text), safe);
    }
}

#[test]
fn secrets_behind_escapes_are_found() {
    for (text, safe) in [
        (
            r#"{"RequestBody":"{\u0022password\u0022:\u0022hunter2\u0022}"}"#,
            r#"{"RequestBody":"{\u0022password\u0022:\u0022***\u0022}"}"#,
        ),
        (r#"{"path":"/cb?state=x\u0026code=4/0AX4XfWh"}"#, r#"{"path":"/cb?state=x\u0026code=***"}"#),
        (
            r#"{"body":"\u003cpassword\u003ehunter2\u003c/password\u003e"}"#,
            r#"{"body":"\u003cpassword\u003e***\u003c/password\u003e"}"#,
        ),
        (r#"{"env":"PORT=80\npwd=hunter2\nuser=al"}"#, r#"{"env":"PORT=80\npwd=***\nuser=al"}"#),
        (r"{\x22password\x22:\x22hunter2\x22,\x22a\x22:1}", r"{\x22password\x22:\x22***\x22,\x22a\x22:1}"),
        (r"DOMAIN\token=hunter2", r"DOMAIN\token=***"),
        ("user%5Botp%5D=493817", "user%5Botp%5D=***"),
        ("user%5Bpwd%5D=hunter2&a=1", "user%5Bpwd%5D=***&a=1"),
        ("a%2Cpwd%3Dhunter2", "a%2Cpwd%3D***"),
        ("a%0Apwd%3Dhunter2", "a%0Apwd%3D***"),
        ("password%253Dhunter2", "password%253D***"),
        ("password=a%26b=c", "password=***"),
        ("pass%77ord=hunter2", "pass%77ord=***"),
        ("&quot;password&quot;:&quot;a b&quot;", "&quot;password&quot;:&quot;***&quot;"),
        (r"\x1b[36mpassword\x1b[0m=hunter2", r"\x1b[36mpassword\x1b[0m=***"),
    ] {
        assert_eq!(line(text), safe);
    }
}

#[test]
fn names_and_values_may_be_two_fields() {
    for (text, safe) in [
        (
            r#"{"Name":"/app/db/password","Type":"SecureString","Value":"hunter2"}"#,
            r#"{"Name":"/app/db/password","Type":"SecureString","Value":"***"}"#,
        ),
        (r#"{"value":"hunter2","name":"password"}"#, r#"{"value":"***","name":"password"}"#),
        (
            r#"[{"value":"a","name":"user"},{"name":"password","value":"b"}]"#,
            r#"[{"value":"a","name":"user"},{"name":"password","value":"***"}]"#,
        ),
        (
            "- name: DB_PASSWORD, required: true, value: hunter2",
            "- name: DB_PASSWORD, required: true, value: ***",
        ),
        (r#"<add key="Password" value="hunter2"/>"#, r#"<add key="Password" value="***"/>"#),
        (r#"<entry key="password">a b</entry>"#, r#"<entry key="password">***</entry>"#),
        (
            "<env name='DB_PASSWORD'><value>a</value></env>",
            "<env name='DB_PASSWORD'><value>***</value></env>",
        ),
    ] {
        assert_eq!(line(text), safe);
    }
}

#[test]
fn options_and_signs_of_all_kinds_come_before_values() {
    for (text, safe) in [
        ("--db_password hunter2", "--db_password ***"),
        ("--client_secret x", "--client_secret ***"),
        ("--api_key abcdefg -v", "--api_key *** -v"),
        ("--requirepass hunter2", "--requirepass ***"),
        ("--pass hunter2", "--pass ***"),
        ("--secret-key abcdefg --access-key abc", "--secret-key *** --access-key ***"),
        ("curl -u al:hunter2 http://x", "curl -u *** http://x"),
        ("pw=a DB_PW=b psk=c creds=d passkey=e", "pw=*** DB_PW=*** psk=*** creds=*** passkey=***"),
        ("assert password == \"hunter2\"", "assert password == \"***\""),
        ("if (password === 'hunter2') {", "if (password === '***') {"),
        ("password != hunter2", "password != ***"),
        ("password += hunter2", "password += ***"),
        ("password='''hunter2'''", "password='''***'''"),
        ("password=\"\"\"hunter2\"\"\"", "password=\"\"\"***\"\"\""),
        ("IDENTIFIED BY 'hunter2'", "IDENTIFIED BY '***'"),
        ("setPassword(\"hunter2\")", "setPassword(\"***\")"),
    ] {
        assert_eq!(line(text), safe);
    }
    let long = format!("password=\"{}ä{}\"", "a".repeat(126), "b".repeat(20));
    assert_eq!(line(&long), "password=\"***\"", "longer than the beginning that decides");
}

#[test]
fn passwords_in_urls_may_have_any_signs() {
    for (text, safe) in [
        ("postgres://app:/secret9@db/x", "postgres://***@db/x"),
        ("postgres://app:p\"w9@db/x", "postgres://***@db/x"),
        ("postgres://app:p<w9@db/x", "postgres://***@db/x"),
        ("\"postgres://app:a'b@db/x\", x", "\"postgres://***@db/x\", x"),
        ("at al:x@db:5432 now", "at ***@db:5432 now"),
    ] {
        assert_eq!(line(text), safe);
    }
}

#[test]
fn the_time_for_a_line_is_linear_in_its_length() {
    for unit in [
        "password=(",
        "key=(",
        "a@",
        "://",
        "<password>",
        "<a",
        "name=password,",
        "value=(",
        "%25",
        "-----BEGIN PRIVATE KEY-----",
        "--token ",
        "password is ",
        "Authorization:[",
        "x:y@z ",
        "auth: ",
        "\"x\",",
        "\\\"",
        "a=",
    ] {
        // In quadratic time, this would be 4 * 10^9 steps.
        let text = unit.repeat((1 << 16) / unit.len());
        assert!(!line(&text).is_empty(), "{unit}");
    }
}

/// Generates a part of a line that has a meaning for the search.
fn part() -> impl Strategy<Value = String> {
    const PARTS: &str = r#"password token Authorization Cookie key code name value = : " ' \ \u0022 %22 %3D %253D &quot; < > </password>
        <password> { } [ ] ( ) , ; & @ :// a Zz9 eyJhbGciOiJIUzI1NiJ9 -----BEGIN_PRIVATE_KEY----- -----END_PRIVATE_KEY----- é \n --
        bearer / | *** is % name=password value= auth: " "#;
    let parts: Vec<String> = PARTS.split_whitespace().map(|part| part.replace('_', " ")).collect();
    prop_oneof![6 => proptest::sample::select(parts), 1 => Just(" ".to_owned()), 1 => any::<String>()]
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let _ = line(&text);
    }

    #[test]
    fn hiding_twice_changes_nothing(parts in proptest::collection::vec(part(), 0..24)) {
        let shown = line(&parts.concat());
        prop_assert_eq!(line(&shown), shown);
    }

    #[test]
    fn a_value_with_the_name_of_a_secret_is_hidden(value in "[a-zA-Z0-9!#%_]{4,60}", name in "(db_password|token|clientSecret|api-key)", before in "[ -~]{0,20} ") {
        let text = format!("{before}{name}={value}");
        prop_assume!(!before.contains(['"', '\'', '\\', '<', '>', '=', ':']));
        prop_assert!(!line(&text).contains(&format!("={value}")), "{}", line(&text));
    }
}
