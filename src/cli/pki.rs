//! `firedrill pki`: creates and shows certificates. [`crate::pki`] does the work.

use std::{net::IpAddr, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use firedrill_approval::{Enrolment, Fingerprint};
use firedrill_files::text::read;
use firedrill_wire::identity::Role;

use super::{failure::Result, output::table};
use crate::{
    pki::{
        Entry, HostAsk, Issued, Kind, PasskeyAsk, PersonAsk, Pki, PkiError, Validity, ca_file, crl_file,
        default_dir,
    },
    verdict::Exit,
};

const EXAMPLES: &str = "Examples:
  firedrill pki init
  firedrill pki issue host app-1 --address 10.1.0.4
  firedrill pki issue person alice --role operator --team payments --env staging
  firedrill pki enrol alice passkey.json
  firedrill pki list
  firedrill pki revoke person mallory

Then copy ca.pem, hosts/app-1.pem and hosts/app-1.key to /etc/firedrill on app-1,
and ca.pem, people/alice.pem and people/alice.key to ~/.config/firedrill/pki of alice.";

/// Creates and shows certificates, which grant rights.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The authority's directory [default: ~/.config/firedrill/pki].
    #[arg(long, env = "FIREDRILL_PKI", global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create an authority. Its key signs certificates; keep it where only you can read it.
    Init,
    /// Issue a certificate and its key.
    Issue {
        #[command(subcommand)]
        whom: Whom,
    },
    /// Issue a certificate over a person's passkey, with which the person approves attacks in the control room.
    Enrol(Enrol),
    /// Show all certificates that were issued.
    List {
        /// Print JSON, one array.
        #[arg(long)]
        json: bool,
    },
    /// Revoke all certificates of a name, and write a new revocation list.
    Revoke {
        /// The kind of certificate: of a host, of a person and the person's passkeys, or of a person's passkeys alone.
        kind: KindArg,
        /// The name.
        name: String,
        /// Validity of the list; when it has expired, agents refuse harm until they get a fresh one.
        #[arg(long, default_value_t = 90, value_name = "DAYS")]
        list_days: u32,
    },
    /// Write a fresh revocation list.
    Crl {
        /// Validity of the list.
        #[arg(long, default_value_t = 90, value_name = "DAYS")]
        days: u32,
    },
}

#[derive(Debug, Subcommand)]
enum Whom {
    /// For the agent of a host.
    Host(IssueHost),
    /// For a person.
    Person(IssuePerson),
}

#[derive(Debug, Parser)]
struct IssueHost {
    /// The host's name in the fleet file.
    name: String,
    /// A further DNS name; may be repeated.
    #[arg(long, value_name = "NAME")]
    dns: Vec<String>,
    /// An address; may be repeated. Only needed for other clients, such as curl.
    #[arg(long, value_name = "IP")]
    address: Vec<IpAddr>,
    /// Validity of the certificate.
    #[arg(long, default_value_t = 365, value_name = "DAYS")]
    days: u32,
    /// Replace an existing one, with a new key.
    #[arg(long)]
    renew: bool,
}

#[derive(Debug, Parser)]
struct IssuePerson {
    /// The person's name, as shown in journals and reports.
    name: String,
    /// `viewer` may look and heal; `operator` may also harm.
    #[arg(long, default_value_t = Role::Viewer, value_name = "ROLE")]
    role: Role,
    /// The person's team, for the policies on hosts.
    #[arg(long)]
    team: Option<String>,
    /// An environment that it is valid for; may be repeated; default all.
    #[arg(long = "env", value_name = "NAME")]
    environments: Vec<String>,
    /// Validity of the certificate. An expired one still lets its owner look and heal.
    #[arg(long, default_value_t = 90, value_name = "DAYS")]
    days: u32,
    /// Replace an existing one, with a new key.
    #[arg(long)]
    renew: bool,
}

#[derive(Debug, Parser)]
struct Enrol {
    /// The person's name, as in the person's other certificate: approvals of both count as those of one person.
    name: String,
    /// The passkey's file, from the page Passkeys of the control room.
    file: PathBuf,
    /// An environment whose plans it approves; may be repeated; default all.
    #[arg(long = "env", value_name = "NAME")]
    environments: Vec<String>,
    /// Validity of the certificate. An expired one approves nothing.
    #[arg(long, default_value_t = 90, value_name = "DAYS")]
    days: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindArg {
    Host,
    Person,
    Passkey,
}

/// Maximum size of a passkey's file, in bytes.
const PASSKEY_MOST: u64 = 16 * 1024;

/// Runs the command.
///
/// # Errors
/// The failed operation, its file, and the error.
pub fn run(args: &Args) -> Result<Exit> {
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => default_dir()?,
    };
    if let Verb::Init = args.verb {
        let pki = Pki::init(&dir)?;
        outln!("made an authority in {}, good for ten years", pki.dir().display());
        outln!("next: firedrill pki issue host NAME, firedrill pki issue person NAME --role operator");
        return Ok(Exit::Held);
    }
    let pki = Pki::open(&dir)?;
    match &args.verb {
        Verb::Init => {}
        Verb::Issue { whom } => {
            print_issued(&issue(&pki, whom)?);
            print_signer(&pki)?;
        }
        Verb::Enrol(ask) => enrol(&pki, ask)?,
        Verb::List { json } => list(&pki, *json)?,
        Verb::Revoke { kind, name, list_days } => {
            let kind = match kind {
                KindArg::Host => Kind::Host,
                KindArg::Person => Kind::Person,
                KindArg::Passkey => Kind::Passkey,
            };
            let count = pki.revoke(kind, name, *list_days)?;
            outln!("revoked {count} certificate(s) of {kind} {name}");
            print_crl(&crl_file(pki.dir()), *list_days);
        }
        Verb::Crl { days } => print_crl(&pki.write_crl(*days)?, *days),
    }
    Ok(Exit::Held)
}

/// Issues a certificate to a host or a person.
fn issue(pki: &Pki, whom: &Whom) -> Result<Issued> {
    let issued = match whom {
        Whom::Host(ask) => pki.issue_host(&HostAsk {
            dns: ask.dns.clone(),
            addresses: ask.address.clone(),
            renew: ask.renew,
            ..HostAsk::new(&ask.name, ask.days)
        }),
        Whom::Person(ask) => pki.issue_person(&PersonAsk {
            team: ask.team.clone(),
            environments: ask.environments.clone(),
            renew: ask.renew,
            ..PersonAsk::new(&ask.name, ask.role, ask.days)
        }),
    };
    Ok(issued?)
}

/// Issues a certificate over a passkey, and prints what to do with it.
fn enrol(pki: &Pki, ask: &Enrol) -> Result<()> {
    let wrong = |why: String| PkiError::Passkey { path: ask.file.clone(), why };
    let text = read(&ask.file, PASSKEY_MOST).map_err(wrong)?;
    let (passkey, public_key) = Enrolment::read(&text.text).map_err(wrong)?;
    let fingerprint = Fingerprint(&public_key).to_string();
    let valid = Validity::days(ask.days);
    let cert = pki.enrol(&PasskeyAsk {
        name: ask.name.clone(),
        environments: ask.environments.clone(),
        public_key,
        valid,
    })?;
    outln!("certificate  {}", cert.display());
    outln!("passkey      {fingerprint}, made on {}", passkey.origin);
    outln!("good until   {}", humantime::format_rfc3339_seconds(valid.until));
    print_signer(pki)?;
    outln!(
        "next: {} compares the passkey's fingerprint, and gives the certificate to the page Passkeys of {}",
        ask.name,
        passkey.origin
    );
    outln!(
        "the fleet names that origin ([approval] origins), and so do hosts that take passkeys ([policy.approval])"
    );
    Ok(())
}

/// Prints the files of a certificate, and its end.
fn print_issued(issued: &Issued) {
    outln!("certificate  {}", issued.cert.display());
    outln!("key          {}", issued.key.display());
    outln!("good until   {}", humantime::format_rfc3339_seconds(issued.until));
}

/// Prints the signing certificate, if `ca.pem` has several.
fn print_signer(pki: &Pki) -> Result<()> {
    if let (name, Some(place)) = pki.signs_as()? {
        outln!("signed by    \"{name}\", certificate {place} of {}", ca_file(pki.dir()).display());
    }
    Ok(())
}

/// Prints the file of a revocation list, its validity, and the next step.
fn print_crl(path: &std::path::Path, days: u32) {
    outln!(
        "wrote {}, good for {days} days: copy it to every host, agents read it by themselves",
        path.display()
    );
}

/// Prints all certificates that were issued.
fn list(pki: &Pki, json: bool) -> Result<()> {
    let entries = pki.list()?;
    if json {
        outln!("{}", serde_json::to_string_pretty(&entries)?);
        return Ok(());
    }
    if entries.is_empty() {
        outln!("nothing was issued yet");
        return Ok(());
    }
    let mut rows = vec![["kind", "name", "good until", "state", "URI name"].map(str::to_owned).to_vec()];
    rows.extend(entries.iter().map(cells));
    outln!("{}", table(rows));
    Ok(())
}

/// Returns the cells of a certificate's row.
fn cells(entry: &Entry) -> Vec<String> {
    let state = match (entry.revoked.is_some(), entry.expired(), entry.replaced) {
        (true, ..) => "revoked",
        (_, true, _) => "expired",
        (_, _, true) => "good, replaced",
        _ => "good",
    };
    vec![entry.kind.to_string(), entry.name.clone(), entry.until.clone(), state.to_owned(), entry.uri.clone()]
}
