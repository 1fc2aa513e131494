//! Hides secrets in the words of a command, such as a fleet's `connect`. A command is always run as it was written.

use super::{HIDDEN, begins_like_a_token, names_secret, url};

/// The words of a command without those that most likely are secrets: the values of `--token X`, `--token=X`, `TOKEN=X` and
/// `X-Api-Key: X`, users and queries of URLs, and tokens of well-known services. Paths stay: the name of a key file is no secret.
#[must_use]
pub fn argv(words: &[String]) -> Vec<String> {
    let mut value_is_secret = false;
    let hidden = words.iter().map(|word| {
        if std::mem::take(&mut value_is_secret) && !word.starts_with('-') && !is_path(word) {
            return HIDDEN.to_owned();
        }
        if let Some(name) = word.strip_prefix("--")
            && !name.contains('=')
        {
            value_is_secret = names_secret(name);
        }
        hide_word(word)
    });
    hidden.collect()
}

fn hide_word(word: &str) -> String {
    if begins_like_a_token(word) {
        return HIDDEN.to_owned();
    }
    for separator in ["=", ": "] {
        if let Some((name, value)) = word.split_once(separator)
            && !name.contains("://")
            && !is_path(value)
            && (names_secret(name) || begins_like_a_token(value))
        {
            return format!("{name}{separator}{HIDDEN}");
        }
    }
    match word.find("://") {
        Some(place) => {
            let scheme = word[..place].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
            // The character before the scheme is one that is no letter, of any length.
            let scheme = (scheme..=place).find(|at| word.is_char_boundary(*at)).unwrap_or(place);
            format!("{}{}", &word[..scheme], url(&word[scheme..]))
        }
        None => word.to_owned(),
    }
}

fn is_path(word: &str) -> bool {
    word.starts_with(['/', '~', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(command: &str) -> String {
        let words: Vec<String> = command.split('|').map(str::to_owned).collect();
        argv(&words).join("|")
    }

    #[test]
    fn secrets_are_hidden_wherever_commands_have_them() {
        for (command, expected) in [
            ("tsh|--token|abc|ssh|%h", "tsh|--token|***|ssh|%h"),
            ("tsh|--token=abc|ssh", "tsh|--token=***|ssh"),
            ("env|VAULT_TOKEN=abc|nc|%h|%p", "env|VAULT_TOKEN=***|nc|%h|%p"),
            ("curl|-H|X-Api-Key: abc", "curl|-H|X-Api-Key: ***"),
            ("wstunnel|wss://me:pw@edge/?key=abc", "wstunnel|wss://***@edge/?key=***"),
            ("relay|--to=https://me:pw@edge", "relay|--to=https://***@edge"),
            ("relay|é://a:b@c", "relay|é://***@c"),
            ("relay|ghp_0123456789abcdef", "relay|***"),
        ] {
            assert_eq!(shown(command), expected);
        }
    }

    #[test]
    fn all_other_words_stay() {
        for command in [
            "ssh|-o|BatchMode=yes|-i|/root/.ssh/id|-W|%h:%p|me@bastion",
            "ssh|-o|ProxyCommand=nc -x proxy %h %p|bastion",
            "relay|--key|/etc/key.pem|--key=~/key.pem",
            "aws|ssm|start-session|--target|i-0123456789abcdef0",
            "relay|--token|--verbose",
            "socat|-|TCP6:[fd00::1]:7070",
        ] {
            assert_eq!(shown(command), command);
        }
    }
}
