//! The list of the codes of refusals, given to a macro. It has a heading for each group of codes.

/// An entry is the code's variant, its name on the wire, its HTTP status, its meaning, and the next step for people.
macro_rules! list {
    ($then:ident) => {
        $then! {
            "The call" {
                BadBody: "bad-body" 422,
                    "The body of the call could not be read, or is not what the call takes.",
                    "Use a coordinator and an agent of nearer versions; a program of your own has to send what `/v1` describes.";
                BadId: "bad-id" 400,
                    "The path names a run by something that cannot be the id of one.",
                    "Give the id that the coordinator printed, such as `20261120-1402-friday-7f3a`.";
                BadAfter: "bad-after" 400,
                    "A stream was to go on after something that is no number.",
                    "Give the number of the last event that was read.";
                BadMethod: "bad-method" 405,
                    "The path exists, and takes another method.",
                    "Use a method that the header `allow` names.";
                UnknownPath: "unknown-path" 404,
                    "There is no such call.",
                    "Use a coordinator and an agent of nearer versions.";
                UnknownVersion: "unknown-version" 404,
                    "The agent does not speak the version of the API that the path begins with.",
                    "Use a coordinator and an agent of nearer versions.";
                TooLarge: "too-large" 413,
                    "The call is larger than what an agent reads, or would take more of its memory than it gives to questions.",
                    "Name networks in place of hosts, or put some of the faults into another run.";
                Busy: "busy" 503,
                    "The agent has too many calls of this kind under way.",
                    "Try again in a moment.";
                Bug: "bug" 500,
                    "The agent has failed by an error of its own.",
                    "Ask `firedrill status` what is in force, put it back with `firedrill undo`, and report the error.";
                Status: "status" 500,
                    "The call failed and gave no reason. The audit's record has the HTTP status as its text.",
                    "Look into the agent's log for the time of the record.";
                Unread: "unread" 500,
                    "The agent refused, and the link broke before the coordinator had read why.",
                    "Ask again, or look into the agent's log.";
            }
            "Who asks, and what the host allows" {
                NotTrusted: "not-trusted" 403,
                    "The connection has no certificate that this agent's authority signed, that is in date and that is not revoked.",
                    "Use a certificate of the fleet's authority; `firedrill pki` makes and renews them.";
                NotAllowed: "not-allowed" 403,
                    "The host's policy, or the certificate of the person who asks, does not allow it.",
                    "Ask for less, or have whoever answers for the host change `[policy]` in its agent.toml.";
                NotApproved: "not-approved" 403,
                    "The host's policy asks for more people's approval of the fault than have signed it.",
                    "Have them run `firedrill approve`, and give the files to `firedrill run` with --approve.";
                Distrusted: "distrusted" 409,
                    "The run was put back, because the certificate of somebody who took part is not trusted any more.",
                    "Start another run with a certificate that is trusted.";
                Configuration: "configuration" 409,
                    "The agent's configuration cannot be used, so nobody knows what the host allows.",
                    "Correct the file; `firedrill-agent check-config` names the place.";
                Halted: "halted" 409,
                    "A person has halted the host: it takes no fault until the halt is ended.",
                    "Ask the person who is named; `firedrill release` ends the halt.";
                Stopping: "stopping" 409,
                    "The agent is being stopped.",
                    "Try again when it is back.";
            }
            "The run" {
                UnknownRun: "unknown-run" 404,
                    "The host does not know the run, or no longer.",
                    "Check the id and the host; a run has to be prepared on a host first.";
                Tombstone: "tombstone" 409,
                    "The run or the injection was undone on this host, which bars whatever comes late.",
                    "Start another run.";
                LeaseOver: "lease-over" 409,
                    "The coordinator was silent for longer than the lease, so the run was put back.",
                    "Start another run, with a longer `lease` where the link is slow.";
                OtherPlan: "other-plan" 409,
                    "The run was prepared for another plan than the one that is to be armed.",
                    "Prepare again, then arm.";
                NotPrepared: "not-prepared" 409,
                    "An injection is to be armed that was not prepared on this host.",
                    "Prepare again, then arm.";
                Changed: "changed" 409,
                    "The host is not as it was when the fault was prepared.",
                    "Prepare again, look at what it would do now, then arm.";
                Rebooted: "rebooted" 409,
                    "The host was booted since its clock was measured.",
                    "Start the run again: it measures the clock and prepares again.";
                ArmedAlready: "armed-already" 409,
                    "An injection of that id was armed before.",
                    "Give every injection an id of its own.";
                Claimed: "claimed" 409,
                    "The fault touches something that another injection has.",
                    "Wait until that one is over, or undo it.";
                BadLease: "bad-lease" 422,
                    "The lease is shorter than an agent can keep.",
                    "Give a longer `lease` at the head of the scenario.";
                BadHold: "bad-hold" 422,
                    "The fault would hold for no time at all.",
                    "Give a `hold` of some milliseconds at least.";
                TooEarly: "too-early" 409,
                    "The fault would start later than an agent arms ahead.",
                    "Arm it later.";
                TooLate: "too-late" 409,
                    "The moment at which the fault was to start has passed.",
                    "Start the run again; where that repeats, look at the host's load and at the way to it.";
                TooMany: "too-many" 409,
                    "More faults or more measuring runs than an agent takes.",
                    "Spread them over several attacks or runs, or wait until others are over.";
                Exhausted: "exhausted" 409,
                    "The agent has no thread or file descriptor left.",
                    "Free some on the host, or raise the limits of the agent's service.";
                Journal: "journal" 500,
                    "The agent could not write what it is about to do, so it does nothing.",
                    "Free space on the disk of its state directory; undo works all the same.";
                NoSnapshot: "no-snapshot" 409,
                    "The host's state before the run could not be kept, by which the end of the run is proven clean.",
                    "See to what the message names, then start the run again.";
                CannotCompare: "cannot-compare" 409,
                    "The host cannot be compared with its state before the run.",
                    "See to what the message names, then run `firedrill collect`; until then the end of the run is unproven.";
                NoSuchKind: "no-such-kind" 409,
                    "The agent is too old for this kind of fault.",
                    "Upgrade the agent, or leave the host out.";
                NotResolved: "not-resolved" 409,
                    "The fault names regions or groups, and only the plan knows which hosts they are.",
                    "Send it through `firedrill run`, which makes a fault of each host's own.";
                Unreadable: "unreadable" 409,
                    "Something on the host that the fault depends on could not be read.",
                    "Give the agent the rights that the message names; it is made to run as root.";
            }
            "Services and processes" {
                BadService: "bad-service" 422,
                    "The text cannot be the name of a service.",
                    "Give a name such as \"checkout\" or \"checkout.service\".";
                NoServiceManager: "no-service-manager" 409,
                    "The host has none of the service managers that were asked for.",
                    "Leave `manager` out, or name the one that the host has.";
                ServiceManager: "service-manager" 409,
                    "The service manager does not answer, or refuses.",
                    "See what is wrong with it on the host; `firedrill doctor` asks it, too.";
                NoService: "no-service" 409,
                    "No service manager of the host knows the name.",
                    "Check the name and the target; the message says where was looked, and which names are near.";
                AmbiguousService: "ambiguous-service" 409,
                    "Several service managers know the name.",
                    "Say which with `manager`.";
                ServiceDown: "service-down" 409,
                    "The service is not up; what is down is never started by a drill.",
                    "Start it first, or leave the host out.";
                ServiceChanging: "service-changing" 409,
                    "The service is starting or stopping.",
                    "Try again once it is up.";
                ServiceLeaving: "service-leaving" 409,
                    "The service is up, and is not meant to stay up.",
                    "Start it for good first.";
                NotStoppable: "not-stoppable" 409,
                    "The service could not be started again as it was.",
                    "Choose another service, or another kind such as `process-pause`.";
                OwnService: "own-service" 409,
                    "The agent itself runs in the service.",
                    "Name another service.";
                MatchTooWide: "match-too-wide" 409,
                    "The match could mean any process.",
                    "Name a program, a part of a command line, or a service.";
                NoProcess: "no-process" 409,
                    "No process matches.",
                    "Look with `ps` on the host what the match has to say, or leave the host out.";
                TooManyProcesses: "too-many-processes" 409,
                    "More processes match than `at_most` allows.",
                    "Narrow the match down, or raise `at_most`.";
                ProtectedProcess: "protected-process" 409,
                    "One of the processes keeps the host, the agent or the way into the host alive.",
                    "Narrow the match down.";
                AlreadyStopped: "already-stopped" 409,
                    "All processes that match are stopped already, by somebody else.",
                    "Continue them first, or leave the host out.";
                NoUser: "no-user" 409,
                    "The host has no user of that name, or could not look it up.",
                    "Check the name on the target itself, or give the user's number.";
                MayNotReboot: "may-not-reboot" 409,
                    "The agent may not reboot the host or power it off.",
                    "Run the agent as root on the host itself, or leave the host out.";
            }
            "Traffic and interfaces" {
                NoPeers: "no-peers" 409,
                    "The fault names no peers and no ports.",
                    "Name peers with `to`, or ports; `host-isolate` cuts a host off from everybody.";
                BadPeer: "bad-peer" 422,
                    "A peer is no address, no CIDR and no name of a host.",
                    "Write `10.9.0.2`, `10.9.0.0/16`, `fd00::/8` or a name that the host can look up.";
                NoAddress: "no-address" 409,
                    "The host cannot look up the name of a peer.",
                    "Check the name on the target itself (`getent ahosts NAME`), or give an address.";
                NoPorts: "no-ports" 409,
                    "Ports are given for ICMP, which has none.",
                    "Leave the ports out, or take tcp or udp.";
                UserInwards: "user-inwards" 409,
                    "Incoming packets are chosen by user, and the kernel does not know yet whose process will get them.",
                    "Say `direction = \"out\"`, or choose by `local_ports`.";
                NotTcp: "not-tcp" 409,
                    "New connections are chosen for a protocol that has none.",
                    "Leave `protocol` out, or say \"tcp\".";
                NoShare: "no-share" 409,
                    "A share of 0% touches nothing.",
                    "Give more than 0%.";
                NoLoss: "no-loss" 409,
                    "The fault does not say how many packets are lost.",
                    "Give `share` or `gilbert_elliott`.";
                TwoLosses: "two-losses" 409,
                    "The fault loses packets in two ways that exclude each other.",
                    "Give `share` or `gilbert_elliott`, and not both.";
                NoDelay: "no-delay" 409,
                    "The fault is to delay, and gives no delay.",
                    "Give a `delay` above zero.";
                NotLate: "not-late" 409,
                    "A delay is given for a fault that delays nothing.",
                    "Say `how = \"delay\"`, or leave `delay` out.";
                NoJitter: "no-jitter" 409,
                    "A distribution or a correlation is given without the jitter that it is about.",
                    "Give `jitter`, or leave them out.";
                NoRate: "no-rate" 409,
                    "A rate of nothing lets nothing through.",
                    "Give a `rate` above zero; `net-block` lets nothing through.";
                BadBurst: "bad-burst" 422,
                    "No full frame fits into the burst.",
                    "Give a larger `burst`, or leave it out.";
                NoGroups: "no-groups" 409,
                    "The partition does not say who is cut from whom.",
                    "Give `groups` or `shape`.";
                SameGroup: "same-group" 409,
                    "The partition names a group twice.",
                    "Name each side once.";
                GroupsAndShape: "groups-and-shape" 409,
                    "The partition gives both `groups` and a `shape`.",
                    "Give one of them.";
                NotTwoSides: "not-two-sides" 409,
                    "A partition in one direction needs two sides.",
                    "Name two groups, or leave `one_way` out.";
                NoZones: "no-zones" 409,
                    "The fault on DNS does not say which names it is about.",
                    "Name zones with `zones`; \".\" means all.";
                BadZone: "bad-zone" 422,
                    "A zone is no name of the DNS.",
                    "Write it as in \"payments.example\", without `*`.";
                NotWrong: "not-wrong" 409,
                    "The key `address` is given, but `how` does not answer with a wrong address.",
                    "Say `how = \"wrong-address\"`, or leave `address` out.";
                NoInterface: "no-interface" 409,
                    "No interface is named, or the host has none of that name.",
                    "Name one that `ip link` on the host shows.";
                BadInterface: "bad-interface" 422,
                    "The text cannot be the name of an interface.",
                    "Give up to 15 characters, such as \"eth0\".";
                TwoInterfaces: "two-interfaces" 409,
                    "The interface is given both by its name and by peers behind it.",
                    "Give one of them.";
                SeveralInterfaces: "several-interfaces" 409,
                    "The peers are behind several interfaces.",
                    "Name one with `interface`; to set several down, write a fault for each.";
                Loopback: "loopback" 409,
                    "The interface is the host's own loopback, which is never touched.",
                    "Name another interface, or peers on other hosts.";
                DownAlready: "down-already" 409,
                    "The interface is down already.",
                    "Set it up first, or take another.";
                BadPeriod: "bad-period" 422,
                    "A time of a fault that repeats is too short or too long.",
                    "Give times between 100ms and 1h.";
                NoRoute: "no-route" 409,
                    "The host has no route to the peers.",
                    "Name the interface with `interface`.";
                ControlPath: "control-path" 409,
                    "Setting the interface down would cut the agent or an SSH session off.",
                    "Take another interface or `host-isolate`; or say `cut_off = true` in `net-down`, with a lease that is longer than the hold.";
                NotRestorable: "not-restorable" 409,
                    "The state of the interface could not be put back as it is.",
                    "Take another interface; the message says what stands in the way.";
                BadExchange: "bad-exchange" 422,
                    "A trial of a path asks for more packets or more time than an agent takes.",
                    "Use a coordinator and an agent of nearer versions.";
                NoEcho: "no-echo" 409,
                    "The agent cannot send ICMP echo requests, by which a path is tried out.",
                    "Give the agent CAP_NET_RAW.";
            }
            "The kernel and its engines" {
                BadEngine: "bad-engine" 422,
                    "The fault asks for an engine that cannot carry out its kind.",
                    "Leave `engine` out, or name one of those that the message has.";
                EngineUnable: "engine-unable" 409,
                    "The engine that was asked for cannot carry out the fault on this host.",
                    "Leave `engine` to \"auto\"; `firedrill doctor` says what the host has.";
                NftablesUnable: "nftables-unable" 409,
                    "The kernel does not accept the table of nftables that the fault needs.",
                    "Run Linux 5.12 or newer with CAP_NET_ADMIN; `firedrill doctor` says what the host has.";
                NoQueues: "no-queues" 409,
                    "The kernel gives no packets to user space.",
                    "Load xt_NFQUEUE and nfnetlink_queue, or take a kernel that has them.";
                NoQueueLeft: "no-queue-left" 409,
                    "All queues for packets are taken on this host.",
                    "Undo some faults on traffic first.";
                NoSockDestroy: "no-sock-destroy" 409,
                    "The kernel cannot reset connections.",
                    "Load inet_diag and tcp_diag; or take `net-block` with `how = \"reject\"`.";
                NoServiceMatch: "no-service-match" 409,
                    "The kernel cannot tell the packets or the connections of a service.",
                    "Take a newer kernel, or choose by `user` or ports.";
                NoCgroups: "no-cgroups" 409,
                    "The host has no cgroup hierarchy of version 2, by which the packets of a service are told.",
                    "Boot with systemd.unified_cgroup_hierarchy=1, or choose by `user` or ports.";
                CgroupNamespace: "cgroup-namespace" 409,
                    "The agent is in a cgroup namespace of its own, where services cannot be told.",
                    "Run the agent on the host itself, or its container with the host's cgroup namespace.";
                NoCgroup: "no-cgroup" 409,
                    "The service's cgroup is not in the hierarchy of version 2.",
                    "Boot with systemd.unified_cgroup_hierarchy=1, or choose by `user` or ports.";
                SharedCgroup: "shared-cgroup" 409,
                    "The service shares its cgroup with others, so its packets cannot be told from theirs.",
                    "Give it a cgroup of its own, or choose by `user` or ports.";
            }
            "Probes" {
                BadProbes: "bad-probes" 422,
                    "No probe is to be started, or more than an agent runs for one run.",
                    "Name at least one, and put the rest on another vantage.";
                BadProbe: "bad-probe" 422,
                    "A probe cannot be run on this host: its values are invalid, or a secret cannot be read here.",
                    "Correct the probe; the message names the value.";
            }
            "Logs" {
                BadLog: "bad-log" 422,
                    "A log cannot be read on this host: its pattern is invalid, it leads to a file that is not listed, or it is no \
                     regular file.",
                    "Correct the log; the message names the value.";
            }
        }
    };
}

pub(super) use list;
