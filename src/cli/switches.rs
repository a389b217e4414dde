//! Switches of the evaluation as flags.

/// Rewrites `--evaluation-a-b VALUE` and `--evaluation-a-b=VALUE` as `--evaluation a_b=VALUE`: the
/// switches are many, and each has its flag.
pub fn switch_flags(args: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut rewritten = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Some(switch) = arg.strip_prefix("--evaluation-") else {
            rewritten.push(arg);
            continue;
        };
        let (name, value) = match switch.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (switch.to_owned(), args.next()),
        };
        let value = value.unwrap_or_default();
        rewritten
            .extend(["--evaluation".to_owned(), format!("{}={value}", name.replace('-', "_"))]);
    }
    rewritten
}

#[cfg(test)]
mod tests {
    use super::switch_flags;

    #[test]
    fn every_switch_has_a_flag() {
        let rewritten = switch_flags(
            ["keyward", "--evaluation-ram-policy", "statements", "--evaluation-profile=aws", "x"]
                .map(str::to_owned),
        );
        assert_eq!(
            rewritten,
            [
                "keyward",
                "--evaluation",
                "ram_policy=statements",
                "--evaluation",
                "profile=aws",
                "x"
            ]
        );
    }
}
