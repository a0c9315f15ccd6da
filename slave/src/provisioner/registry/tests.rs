//! Challenges of registries, and who gets a password.

use super::*;

#[test]
fn challenge_parameters_are_told_apart() {
    let text = r#"realm="https://a/t?x=1",service="r,s", scope="repository:a/b:pull""#;
    let expected =
        [("realm", "https://a/t?x=1"), ("service", "r,s"), ("scope", "repository:a/b:pull")];
    let found = parse_parameters(text);
    let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!(escape("repository:a/b:pull"), "repository%3Aa/b%3Apull");
}

#[test]
fn credential_is_that_of_the_registry() {
    let auth = STANDARD.encode("me:secret");
    let config = serde_json::json!({"auths": {"https://r.io:1": {"auth": auth}}});
    assert_eq!(credential(&config, "https://r.io:1", false).as_deref(), Some("me:secret"));
    assert_eq!(credential(&config, "https://r.io", false), None);
}

#[test]
fn head_is_the_last_of_all_redirects() {
    let text = "HTTP/1.1 307 Moved\r\nLocation: x\r\n\r\nHTTP/2 401\r\nWWW-Authenticate: Basic\r\n";
    let head = read_head(text).unwrap();
    assert_eq!((head.status, head.challenge.as_deref()), (401, Some("Basic")));
    assert!(read_head("").is_none());
}

#[test]
fn registries_of_this_host_need_no_tls() {
    assert_eq!(with_scheme("127.0.0.1:5000"), "http://127.0.0.1:5000");
    assert_eq!(with_scheme("r.io"), "https://r.io");
    assert_eq!(with_scheme("http://r.io"), "http://r.io");
    for elsewhere in ["127.0.0.1.evil.io/", "127.0.0.1:80@evil.io/", "evil.io?@localhost"] {
        assert!(!is_loopback(&format!("http://{elsewhere}")), "{elsewhere}");
    }
}

fn registry(base: &str) -> Registry {
    Registry {
        base: base.to_owned(),
        repository: "a".to_owned(),
        credential: Some("me:secret".to_owned()),
        authorization: None,
        stall: Duration::from_secs(5),
        staging: std::env::temp_dir(),
    }
}

#[test]
fn password_is_not_sent_where_it_could_be_overheard() {
    let basic = format!("Basic {}", STANDARD.encode("me:secret"));
    for base in ["https://r.io", "http://127.0.0.1:5000"] {
        assert_eq!(registry(base).answer_challenge("Basic realm=\"x\"").unwrap(), basic);
    }
    for base in ["http://r.io", "http://127.0.0.1:80@r.io"] {
        let refused = registry(base).answer_challenge("Basic realm=\"x\"").unwrap_err();
        assert!(refused.to_string().contains("not sent without TLS"), "{refused}");
    }
}

#[test]
fn password_buys_no_token_that_could_be_overheard() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let answer = || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap();
            let body = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"token\":\"t\"}";
            io::Write::write_all(&mut stream, body.as_bytes()).unwrap();
            String::from_utf8_lossy(&head[..read]).contains("Authorization: Basic")
        };
        [answer(), answer()]
    });
    let challenge = format!("Bearer realm=\"http://{address}/token\"");
    for base in ["https://r.io", "http://r.io"] {
        assert_eq!(registry(base).answer_challenge(&challenge).unwrap(), "Bearer t");
    }
    // Who speaks TLS gets it; the other one is asked for as by anybody.
    assert_eq!(server.join().unwrap(), [true, false]);
}
