//! Reads a fleet and reports all errors in it.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
};

use firedrill_wire::{DEFAULT_PORT, origin::check_origin, text::NAME_MOST};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    check_service,
    file::{Addresses, ApprovalFile, Defaults, FleetFile, HostFile},
    hosts::Fleet,
    salvage::{self, Care, Wrong},
};
use crate::{
    diagnostic::{FileId, Item, Place, Problem, Sink, suggest},
    plan::model::{COORDINATOR, Host, Reach, Way},
    scenario::{flaws, hidden, reading},
};

/// The keys at the top of a fleet's file.
pub const KEYS: [&str; 5] = ["schema", "approval", "defaults", "names", "host"];

/// Reads a file. A valid file is parsed in one step. A file with errors is read again table by table, so that they have
/// places.
pub(super) fn from_toml(name: &str, text: &str, care: Care, sink: &mut Sink) -> Fleet {
    good(text).unwrap_or_else(|| with_places(name, text, care, sink))
}

/// Parses a fleet that has no error; `None` if it has one, or a text that may be unsafe to show.
fn good(text: &str) -> Option<Fleet> {
    // ASCII of moderate length is unsafe only with an escape, a line break in a text, or a tab.
    let marks = ["\\", "\"\"\"", "'''", "\t"];
    if !text.is_ascii() || marks.iter().any(|mark| text.contains(mark)) || is_long(text) {
        return None;
    }
    let read: FleetFile = toml::from_str(text).ok()?;
    let mut sink = Sink::default();
    let is_known = read.schema == 1;
    let fleet = built(read, Vec::new(), &mut sink);
    (is_known && sink.problems.is_empty() && !fleet.hosts.is_empty()).then_some(fleet)
}

/// Whether a text in a file may be too long to be shown: one of the lines is, and a text is no longer than its line.
fn is_long(file: &str) -> bool {
    file.lines().any(|line| line.len() > NAME_MOST)
}

/// Makes a fleet from a parsed file, and reports problems without places. `wrong` are entries that could not be parsed.
fn built(read: FleetFile, wrong: Vec<Wrong>, sink: &mut Sink) -> Fleet {
    let mut building = Building { defaults: read.defaults, ..Building::default() };
    building.fleet.wrong = wrong;
    building.approval(read.approval, None, sink);
    building.names(read.names, |_| None, sink);
    for host in &read.host {
        building.host(host, None, false, sink);
    }
    building.fleet
}

/// Reads a file table by table, and reports problems with their places.
fn with_places(name: &str, text: &str, care: Care, sink: &mut Sink) -> Fleet {
    let file = sink.add_source(name, text);
    let (table, whole) = reading::table(text, file, sink);
    hidden::note(file, text, &table, whole, sink);
    let mut building = Building::default();
    // Problems of a file that is not valid TOML: it was reported already, and is read only to find hosts.
    let mut discarded = Sink::default();
    let sink = match (whole, care) {
        (true, _) => sink,
        (false, Care::All) => return building.fleet,
        (false, Care::Salvage) => {
            discarded.add_source(name, text);
            building
                .fleet
                .wrong
                .push(Wrong::new("the fleet", "it is not valid TOML, so some of its hosts may be missing"));
            &mut discarded
        }
    };
    let table = table.into_inner();
    flaws::refuse(&table, file, sink);
    building.defaults = reading::key(&table, "defaults", file, sink).unwrap_or_default();
    version(&table, file, sink);
    for (key, node) in &table {
        let place = Place { file, at: key.span() };
        match key.get_ref().as_ref() {
            "schema" | "defaults" => {}
            "approval" => {
                let approval = reading::key(&table, "approval", file, sink).unwrap_or_default();
                building.approval(approval, Some(&place), sink);
            }
            "names" => {
                let names = reading::key::<BTreeMap<String, Addresses>>(&table, "names", file, sink);
                let here = |name: &str| {
                    let (key, _) = node.get_ref().as_table()?.get_key_value(name)?;
                    Some(Place { file, at: key.span() })
                };
                building.names(names.unwrap_or_default(), here, sink);
            }
            "host" => match node.get_ref() {
                DeValue::Array(hosts) => {
                    for (index, host) in hosts.iter().enumerate() {
                        match reading::item::<HostFile>(host, "", host.span(), file, "host", sink) {
                            Some(item) => building.host(&item.value, Some(&item), item.broken, sink),
                            None => building.unreadable(index, host),
                        }
                    }
                }
                _ => {
                    let message = "hosts are a list: each begins with [[host]], in double brackets";
                    sink.push(Problem::error(message).at(place, "not a list"));
                }
            },
            other => {
                let help = suggest(other, KEYS, "keys here");
                let message = format!("unknown key `{other}` in the fleet");
                sink.push(Problem::error(message).at(place, "unknown key").help(help));
            }
        }
    }
    if building.fleet.hosts.is_empty() && !sink.failed() {
        sink.push(Problem::error("the fleet has no hosts").at(Place { file, at: 0..0 }, "in this file"));
    }
    building.fleet
}

/// Reports a version of the format that is not known.
fn version(table: &DeTable<'_>, file: FileId, sink: &mut Sink) {
    let Some(schema) = table.get("schema") else { return };
    if schema.get_ref().as_integer().is_none_or(|number| number.to_string() != "1") {
        let problem = Problem::error("this version reads fleets of `schema = 1`");
        sink.push(problem.at(Place { file, at: schema.span() }, "not known here"));
    }
}

/// Reads the output of a command, which `name` shows. Problems have no places, except that of invalid JSON.
pub(super) fn from_json(name: &str, text: &str, care: Care, sink: &mut Sink) -> Option<Fleet> {
    let file = sink.add_source(format!("output of {name}"), text);
    let mut wrong = Vec::new();
    let read: FleetFile = match serde_json::from_str(text) {
        Ok(read) => read,
        Err(error) => {
            let before: usize =
                text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
            let at = before + error.column().saturating_sub(1);
            let problem = Problem::error(format!("the command's output is not a fleet: {error}"));
            sink.push(problem.at(Place { file, at: at..at + 1 }, "here"));
            let salvaged = if care == Care::Salvage { salvage::from_json(text) } else { None };
            let (read, lost) = salvaged?;
            wrong = lost;
            read
        }
    };
    // ASCII of moderate length is unsafe only with an escape.
    if (!text.is_ascii() || text.contains('\\') || is_long(text))
        && let Some((shown, flaw)) = serde_json::from_str(text).ok().as_ref().and_then(flaws::of_json)
    {
        sink.push(Problem::error(format!(
            "the fleet that `{name}` printed has the text `{shown}`, which cannot be shown safely: it has \
             {flaw}"
        )));
        return None;
    }
    if read.schema != 1 {
        let message =
            format!("this version reads fleets of schema 1; the command printed schema {}", read.schema);
        sink.push(Problem::error(message));
        return None;
    }
    let fleet = built(read, wrong, sink);
    if fleet.hosts.is_empty() {
        sink.push(Problem::error(format!("the fleet that `{name}` printed has no hosts")));
        return None;
    }
    Some(fleet)
}

/// A fleet whose entries are added one by one.
#[derive(Default)]
struct Building {
    defaults: Defaults,
    fleet: Fleet,
    /// For each way to an address: the index of the host that has it.
    owners: HashMap<(Vec<String>, IpAddr), usize>,
}

impl Building {
    /// Adds an entry of which nothing could be read.
    fn unreadable(&mut self, index: usize, node: &Spanned<DeValue<'_>>) {
        let name = node.get_ref().as_table().and_then(|table| table.get("name")?.get_ref().as_str());
        let name = name.map_or_else(|| format!("host {}", index + 1), str::to_owned);
        self.fleet.wrong.push(Wrong::new(name, "it cannot be read"));
    }

    /// Adds the origins of control rooms; `place` is that of their table in the file, if there is a file.
    fn approval(&mut self, read: ApprovalFile, place: Option<&Place>, sink: &mut Sink) {
        for why in read.origins.iter().filter_map(|origin| check_origin(origin).err()) {
            let problem = Problem::error(format!("approval.origins: {why}"));
            sink.push(match place {
                Some(place) => problem.at(place.clone(), "in this table"),
                None => problem,
            });
        }
        self.fleet.origins = read.origins;
    }

    /// Adds further names; `here` returns the place of one in the file, if there is a file.
    fn names(
        &mut self,
        names: BTreeMap<String, Addresses>,
        here: impl Fn(&str) -> Option<Place>,
        sink: &mut Sink,
    ) {
        for (name, _) in names.iter().filter(|(_, addresses)| addresses.0.is_empty()) {
            let problem = Problem::error(format!("the name `{name}` has no address"));
            let problem = problem.help(format!("{name} = [\"10.0.0.1\"], or leave the name out"));
            sink.push(match here(name) {
                Some(place) => problem.at(place, "has no address"),
                None => problem,
            });
        }
        self.fleet.names = names.into_iter().map(|(name, addresses)| (name, addresses.0)).collect();
    }

    /// Adds a host; `item` has its place in the file, if there is a file.
    fn host(&mut self, host: &HostFile, item: Option<&Item<HostFile>>, broken: bool, sink: &mut Sink) {
        let here = item.map(|item| item.place_of_value(&host.name));
        let at = |problem: Problem, place: Option<Place>, label: &str| match place {
            Some(place) => problem.at(place, label),
            None => problem,
        };
        let name = &host.name;
        if !is_name(name) || name == COORDINATOR {
            let problem = Problem::error(format!("`{name}` cannot be a host's name"));
            let help =
                "letters, digits, `-`, `_` and `.`, starting with a letter or digit; not `coordinator`";
            sink.push(at(problem, here.clone(), "not a name").help(help));
        }
        if self.fleet.host(name).is_some() {
            let mut problem = at(Problem::error(format!("host `{name}` is there twice")), here, "again here");
            if let Some(first) = self.fleet.places.get(name) {
                problem = problem.also(first.clone(), "first here");
            }
            sink.push(problem);
            let addresses: Vec<IpAddr> = host.address.iter().chain(&host.addresses).copied().collect();
            let other = self.reach(host, &addresses).map(|agent| self.made(host, addresses, agent));
            let why = "its name is in the fleet twice";
            self.fleet.wrong.push(Wrong { host: other, ..Wrong::new(name, why) });
            return;
        }
        let addresses: Vec<IpAddr> = host.address.iter().chain(&host.addresses).copied().collect();
        if addresses.is_empty() && !broken {
            let problem = Problem::error(format!("host `{name}` has no address"));
            let help = "address = \"10.0.0.1\", or addresses = [\"10.0.0.1\", \"fd00::1\"]";
            sink.push(at(problem, here.clone(), "this host").help(help));
        }
        // A private address means another host behind another bastion.
        let via = self.via(host, &addresses).map(|way| way.connect).unwrap_or_default();
        for address in &addresses {
            if let Some(other) = self.owners.get(&(via.clone(), *address)) {
                let other = &self.fleet.hosts[*other].name;
                let message = format!("host `{name}` has the address {address} of host `{other}`");
                let place = item.map(|item| item.place_of_value(&address.to_string()));
                sink.push(at(Problem::error(message), place, "the same address"));
            }
        }
        for key in ["name", "role", "tag", "provider", "region", "zone", "env"] {
            if host.labels.contains_key(key) {
                let message = format!("`{key}` cannot be in the labels of host `{name}`: it has its own key");
                let place = item.map(|item| item.place_of_key(key));
                sink.push(at(Problem::error(message), place, "give it outside of `labels`"));
            }
        }
        check_service::check(host, item, broken, sink);
        let Some(agent) = self.reach(host, &addresses) else {
            if !addresses.is_empty() {
                let message = format!("the agent of `{name}` is not host:port");
                let place = item.map(|item| item.place_of_key("agent"));
                sink.push(at(Problem::error(message), place, "for example \"10.0.0.1:7790\""));
            }
            let why = if addresses.is_empty() { "it has no address" } else { "its agent is not host:port" };
            self.fleet.wrong.push(Wrong::new(name, why));
            return;
        };
        if let Some(place) = here {
            self.fleet.places.insert(name.clone(), place);
        }
        for address in &addresses {
            self.owners.entry((via.clone(), *address)).or_insert(self.fleet.hosts.len());
        }
        if !host.service.is_empty() {
            self.fleet.services.insert(name.clone(), host.service.clone());
        }
        self.fleet.add(self.made(host, addresses, agent));
    }

    /// Returns the host with the defaults filled in.
    fn made(&self, host: &HostFile, addresses: Vec<IpAddr>, agent: Reach) -> Host {
        let defaults = &self.defaults;
        let mut labels = defaults.labels.clone();
        labels.extend(host.labels.clone());
        let own = [
            ("provider", host.provider.as_ref().or(defaults.provider.as_ref())),
            ("region", host.region.as_ref().or(defaults.region.as_ref())),
            ("zone", host.zone.as_ref().or(defaults.zone.as_ref())),
            ("env", host.env.as_ref().or(defaults.env.as_ref())),
        ];
        labels.extend(own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.clone()))));
        let mut tags = defaults.tags.0.clone();
        tags.extend(host.tags.0.clone());
        let roles = host.roles.as_ref().unwrap_or(&defaults.roles).0.clone();
        let via = self.via(host, &addresses);
        Host { name: host.name.clone(), addresses, labels, roles, tags, agent, via }
    }

    /// Returns the way to the host's agent, which all hosts with the same program share; `None` for a direct connection.
    fn via(&self, host: &HostFile, addresses: &[IpAddr]) -> Option<Way> {
        let connect = host.connect.as_ref().unwrap_or(&self.defaults.connect);
        if connect.is_empty() {
            return None;
        }
        // A program with the host's name and address written out is the same way as one with placeholders.
        let own = addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
        let plain = |word: &String| {
            let named = own.iter().fold(word.clone(), |word, address| word.replace(address, "%h"));
            if named == host.name { "%n".to_owned() } else { named }
        };
        let connect = connect.iter().map(plain).collect();
        let at_once = host
            .connect_at_once
            .or(self.defaults.connect_at_once)
            .map_or(Way::AT_ONCE, |places| places.get().into());
        Some(Way { connect, at_once })
    }

    /// Returns the connection to the agent; `None` if it is unknown.
    fn reach(&self, host: &HostFile, addresses: &[IpAddr]) -> Option<Reach> {
        let port = self.defaults.agent_port.unwrap_or(DEFAULT_PORT);
        let (at, port) = match &host.agent {
            Some(agent) => {
                let (at, port) = agent.rsplit_once(':')?;
                let at = at.trim_start_matches('[').trim_end_matches(']');
                (at.to_owned(), port.parse::<u16>().ok().filter(|port| !at.is_empty() && *port > 0)?)
            }
            None => (addresses.first()?.to_string(), port),
        };
        let connect = host.connect.as_ref().unwrap_or(&self.defaults.connect);
        if connect.is_empty() {
            let tcp = at
                .parse::<IpAddr>()
                .map_or_else(|_| format!("{at}:{port}"), |ip| SocketAddr::new(ip, port).to_string());
            return Some(Reach::Tcp(tcp));
        }
        let fill = |word: &String| {
            word.replace("%h", &at).replace("%p", &port.to_string()).replace("%n", &host.name)
        };
        Some(Reach::Command(connect.iter().map(fill).collect()))
    }
}

/// Whether a text can be a host's name: at most as long as a name in DNS.
fn is_name(name: &str) -> bool {
    const LONGEST: usize = 253;
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_allowed)
        && name.len() <= LONGEST
}
