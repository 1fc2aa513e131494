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
        ("map[Authorization:[Bearer a b] Cookie:[c]]", "map[Authorization:***"),
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
fn a_line_of_names_alone_needs_no_more_stack_than_any_other() {
    // The stack of a thread that reads logs.
    let read = std::thread::Builder::new().stack_size(1 << 20).spawn(|| line(&"a=".repeat(2048)));
    assert_eq!(read.unwrap().join().unwrap(), "a=".repeat(2048));
}

#[test]
fn what_is_no_secret_stays() {
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

proptest! {
    #[test]
    fn any_text_is_read(text in any::<String>()) {
        let _ = line(&text);
    }

    #[test]
    fn a_value_that_is_called_a_secret_never_stays(value in "[a-zA-Z0-9!#%_]{4,60}", name in "(db_password|token|clientSecret|api-key)", before in "[ -~]{0,20} ") {
        let text = format!("{before}{name}={value}");
        prop_assume!(!before.contains(['"', '\'', '\\', '<', '>', '=', ':']));
        prop_assert!(!line(&text).contains(&format!("={value}")), "{}", line(&text));
    }
}
