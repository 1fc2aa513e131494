//! The lab's name server: resolves every host's name in the zone `lab.test`, over UDP at the router.
//!
//! Names without a zone are in each host's `/etc/hosts`. The names here are for trying out failures of DNS. The server knows no other
//! names, and never asks another server.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use simple_dns::{
    CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE,
    rdata::{A, AAAA, RData},
};
use tokio::net::UdpSocket;

use crate::{
    LabError, LabSpec,
    error::Doing as _,
    net::{GATEWAY4, ZONE},
};

const PORT: u16 = 53;
/// The time to live of answers, in seconds: 0, so that nothing is cached and failures of DNS show at once.
const TTL: u32 = 0;

/// The addresses of each host, by the full name in lower case.
type Names = BTreeMap<String, Vec<IpAddr>>;

/// Starts a task that answers queries.
///
/// # Errors
/// The port cannot be opened.
pub(super) async fn serve(spec: &LabSpec) -> Result<(), LabError> {
    let names = spec
        .hosts
        .iter()
        .map(|host| (format!("{}.{ZONE}", host.name.to_lowercase()), host.addresses.clone()));
    let names: Arc<Names> = Arc::new(names.collect());
    let socket = UdpSocket::bind((GATEWAY4, PORT)).await.doing("serve the lab's names")?;
    tokio::spawn(async move {
        let mut question = [0; 512];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut question).await else {
                // An error may repeat at once, so the task pauses instead of using up the processor.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            if let Some(answer) = answer(&question[..length], &names) {
                // A failure is ignored: the client asks again.
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    Ok(())
}

/// Returns the answer to a query; `None` if the bytes are not a query.
fn answer(question: &[u8], names: &Names) -> Option<Vec<u8>> {
    let asked = Packet::parse(question).ok()?;
    let mut reply = Packet::new_reply(asked.id());
    reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    for question in asked.questions {
        match names.get(&question.qname.to_string().to_lowercase()) {
            None => *reply.rcode_mut() = RCODE::NameError,
            Some(addresses) => {
                let data = addresses.iter().filter_map(|address| match (address, question.qtype) {
                    (IpAddr::V4(v4), QTYPE::TYPE(TYPE::A)) => Some(RData::A(A { address: (*v4).into() })),
                    (IpAddr::V6(v6), QTYPE::TYPE(TYPE::AAAA)) => {
                        Some(RData::AAAA(AAAA { address: (*v6).into() }))
                    }
                    _ => None,
                });
                let name = &question.qname;
                reply
                    .answers
                    .extend(data.map(|data| ResourceRecord::new(name.clone(), CLASS::IN, TTL, data)));
            }
        }
        reply.questions.push(question);
    }
    reply.build_bytes_vec().ok()
}

#[cfg(test)]
mod tests {
    use simple_dns::{Name, QCLASS, Question};

    use super::*;

    /// Asks for records of a name. Returns the response code and the number of answers.
    fn ask(name: &str, kind: TYPE) -> (RCODE, usize) {
        let names = Names::from([(
            "app1.lab.test".to_owned(),
            vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        )]);
        let mut packet = Packet::new_query(7);
        packet.questions.push(Question::new(Name::new(name).unwrap(), kind.into(), CLASS::IN.into(), false));
        let answer = answer(&packet.build_bytes_vec().unwrap(), &names).unwrap();
        let answer = Packet::parse(&answer).unwrap();
        assert_eq!((answer.id(), answer.questions.len()), (7, 1));
        assert_eq!(answer.questions[0].qclass, QCLASS::CLASS(CLASS::IN));
        (answer.rcode(), answer.answers.len())
    }

    #[test]
    fn names_of_hosts_are_resolved_and_other_names_are_not() {
        assert_eq!(ask("App1.lab.test", TYPE::A), (RCODE::NoError, 1));
        assert_eq!(ask("app1.lab.test", TYPE::AAAA), (RCODE::NoError, 1));
        assert_eq!(ask("app1.lab.test", TYPE::TXT), (RCODE::NoError, 0));
        assert_eq!(ask("app2.lab.test", TYPE::A), (RCODE::NameError, 0));
        assert_eq!(answer(b"garbage", &Names::new()), None);
    }
}
