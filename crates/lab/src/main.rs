//! A small command line for labs, used by tests. Users have `firedrill lab`. It contains no agent.

mod look;

use std::{ffi::OsString, process::ExitCode};

use firedrill_lab::{Lab, LabError, LabSpec, Options, ServiceState};

const USAGE: &str = "usage: firedrill-lab up SPEC.json [--detach] | demo NAME [--detach] | preflight | list\n       \
                     firedrill-lab status|down NAME | log NAME HOST SERVICE | exec NAME HOST ARGV… | enter NAME ARGV…\n       \
                     firedrill-lab kill|cut|plug|power-on NAME HOST\n       \
                     in a host: get ADDRESS PATH | hear ADDRESS MILLISECONDS";

fn main() -> ExitCode {
    if let Some(code) = firedrill_lab::dispatch(no_agent) {
        return code;
    }
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("firedrill-lab: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

/// Takes the place of the agent's `main`, and refuses: this binary contains no agent.
fn no_agent(_: Vec<OsString>) -> ExitCode {
    eprintln!("firedrill-lab carries no agent; build the lab with `firedrill lab up`");
    ExitCode::from(2)
}

fn run(words: &[OsString]) -> Result<ExitCode, LabError> {
    let text: Vec<String> = words.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let text: Vec<&str> = text.iter().map(String::as_str).collect();
    match text[..] {
        ["preflight"] => firedrill_lab::preflight().map(|()| println!("a lab can start here"))?,
        ["up", file, ref flags @ ..] => {
            let json = std::fs::read_to_string(file)
                .map_err(|e| LabError::Spec(format!("{file} cannot be read: {e}")))?;
            let spec = serde_json::from_str(&json).map_err(|e| LabError::Spec(format!("{file}: {e}")))?;
            return up(&spec, flags);
        }
        ["demo", name, ref flags @ ..] => {
            let spec = firedrill_lab::demo::spec(name, &firedrill_lab::demo::Shop::default());
            return up(&spec, flags);
        }
        ["list"] => {
            for lab in firedrill_lab::list()? {
                println!("{} (process {})", lab.name, lab.pid);
            }
        }
        ["status", name] => status(&Lab::attach(name)?)?,
        ["down", name] => Lab::attach(name)?.down()?,
        ["log", name, host, service] => print!("{}", Lab::attach(name)?.log(host, service)?),
        ["kill", name, host] => Lab::attach(name)?.kill(host)?,
        ["cut", name, host] => Lab::attach(name)?.cut(host)?,
        ["plug", name, host] => Lab::attach(name)?.plug(host)?,
        ["power-on", name, host] => Lab::attach(name)?.power_on(host)?,
        ["get", address, path] => return Ok(look::get(address, path)),
        ["hear", address, at_most_ms] => return Ok(look::hear(address, at_most_ms)),
        ["exec", name, host, ..] => return Lab::attach(name)?.exec(host, &words[3..]).map(code_of),
        ["enter", name, ..] => return Lab::attach(name)?.enter_and_exec(&words[2..]),
        _ => {
            eprintln!("{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn up(spec: &LabSpec, flags: &[&str]) -> Result<ExitCode, LabError> {
    let options = Options { detach: flags == ["--detach"], ..Options::default() };
    let lab = Lab::up(spec, &options)?;
    println!("lab {} is up: {} hosts", spec.name, spec.hosts.len());
    if !options.detach {
        lab.wait()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn status(lab: &Lab) -> Result<(), LabError> {
    for host in lab.status()?.hosts {
        println!(
            "{} {:?} link={} boots={} boot_id={}",
            host.name, host.state, host.link, host.boots, host.boot_id
        );
        for service in host.services {
            let pid = service.pid.filter(|_| service.state == ServiceState::Run).unwrap_or_default();
            println!("  {} {:?} pid={pid} wanted={}", service.name, service.state, service.wanted);
        }
    }
    Ok(())
}

/// Returns the exit code of a process, or 128 plus the number of the signal that ended it.
fn code_of(status: std::process::ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|s| 128 + s));
    ExitCode::from(u8::try_from(code.unwrap_or(255)).unwrap_or(255))
}
