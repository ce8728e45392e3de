//! What happens, line by line in fixed columns: the time in microseconds, the process, what kind of thing it is, the other
//! process, and what it is about. The legend is in `docs/testing.md`. A trace is all of a run: two runs of a seed have the
//! same one.

use std::fmt::Write as _;

use skein_protocol::id::{NodeId, Writer};
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::message::{Chunk, Follows, Message};
use skein_protocol::operation::{Action, Answer, Operation};
use skein_protocol::record::Record;
use skein_protocol::step::{Input, Reply, Swapped};

use super::node::Node;
use super::oracle::Ask;
use super::queue::Time;

/// The lines of a run, if anybody wants them.
#[derive(Default)]
pub(crate) struct Trace {
    text: Option<String>,
}

impl Trace {
    pub(crate) fn new(on: bool) -> Self {
        Trace { text: on.then(String::new) }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.text.is_some()
    }

    pub(crate) fn line(&mut self, at: Time, node: &str, kind: &str, peer: &str, detail: impl FnOnce() -> String) {
        if let Some(text) = &mut self.text {
            writeln!(text, "{at:>11}  {node:<3} {kind:<9} {peer:<3} {}", detail()).expect("a string takes everything");
        }
    }

    pub(crate) fn sent(&mut self, at: Time, node: &str, to: NodeId, sent: &Message, nodes: &[Node]) {
        let peer = name_of(to, nodes);
        self.line(at, node, "send", peer, || message(sent));
    }

    pub(crate) fn input(&mut self, at: Time, node: &str, input: &Input, nodes: &[Node]) {
        match input {
            Input::Message { from, message: came } => {
                let peer = name_of(*from, nodes);
                self.line(at, node, "receive", peer, || message(came));
            }
            Input::Persisted { records } => self.line(at, node, "synced", "", || format!("{records} records")),
            Input::Timeout(timer) => self.line(at, node, "timer", "", || format!("{timer:?}")),
            Input::Swapped(Swapped::Done) => self.line(at, node, "swapped", "", || "done".into()),
            Input::Swapped(Swapped::Current(record)) => {
                let now =
                    || record.as_ref().map_or("error, holds nothing".into(), |it| format!("error, holds {}", view_record(it)));
                self.line(at, node, "swapped", "", now);
            }
            // These have lines of their own.
            Input::Start | Input::Request { .. } | Input::Connected(_) | Input::Disconnected { .. } => {}
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.text.unwrap_or_default()
    }
}

fn name_of(id: NodeId, nodes: &[Node]) -> &str {
    nodes.iter().find(|node| node.id == id).map_or("?", |node| &node.name)
}

fn operations(operations: &[Operation]) -> String {
    let one = |operation: &Operation| {
        let action = match &operation.action {
            Action::Put(value) => format!("put {value:?}"),
            Action::Delete => "delete".into(),
            Action::Check => "check".into(),
        };
        format!("{}:{:?} {:?} {action}", operation.key.table.0, operation.key.bytes, operation.expect)
    };
    operations.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn message(message: &Message) -> String {
    match message {
        Message::Prepare(prepare) => {
            let (txn, view, age) = (prepare.txn, prepare.view, prepare.age.stamp);
            format!("Prepare {txn} view {view} age {age} {}", operations(&prepare.operations))
        }
        Message::Vote { txn, view, vote } => format!("Vote {txn} view {view} {vote:?}"),
        Message::Decide { txn, view, outcome, .. } => format!("Decide {txn} view {view} {outcome:?}"),
        Message::Acknowledged { txn, view } => format!("Acknowledged {txn} view {view}"),
        Message::Forget { view, incarnation, below } => format!("Forget {}-{below} view {view}", incarnation.0),
        Message::ForgetViews { before } => format!("ForgetViews {before}"),
        Message::Read(read) => format!("Read {} view {} {:?} {:?}", read.read.0, read.view, read.consistency, read.query),
        Message::Answered { read, result } => format!("Answered {} {result:?}", read.0),
        Message::Seal(seal) => {
            let carried = seal.last_active.map(|last| format!(" outcomes of {} {:?}", last.number, seal.outcomes));
            let Writer { run, .. } = seal.view.writer;
            format!("Seal view {} by run {} {:?}{}", seal.view.number, run.0, seal.standing, carried.unwrap_or_default())
        }
        Message::Sealed(report) => {
            let prepared: Vec<_> = report.prepared.iter().map(|it| it.txn).collect();
            format!("Sealed view {} prepared {prepared:?} decided {:?}", report.view, report.decided)
        }
        Message::SealRefused { view, reason, follows } => format!("SealRefused view {view} {reason:?} {}", followed(*follows)),
        Message::Activate { view, outcomes } => format!("Activate view {view} {outcomes:?}"),
        Message::Activated { view } => format!("Activated view {view}"),
        Message::Copy { copy, learner, after, records_max } => {
            format!("Copy {copy} for {learner} after {after:?}, {records_max} at the most")
        }
        Message::Chunk(chunk) => {
            let Chunk { copy, learner, records, last, .. } = chunk;
            format!("Chunk of {copy} for {learner}: {} records{}", records.len(), if *last { ", the last" } else { "" })
        }
        Message::Stored { copy, last } => format!("Stored of {copy}{}", if *last { ", the last" } else { "" }),
        Message::Beat { beat, writer, .. } => format!("Beat {beat} of run {}", writer.run.0),
        Message::Beating { beat, follows, full } => {
            format!("Beating {beat} {}{}", followed(*follows), if *full { " full" } else { "" })
        }
        Message::Damaged { view, records } => format!("Damaged view {view}, {records} records"),
        Message::InDoubt { view } => format!("InDoubt view {view}"),
        Message::Outvoted { view } => format!("Outvoted view {view}"),
    }
}

fn followed(follows: Follows) -> String {
    let run = |writer: Option<Writer>| writer.map_or_else(|| "none".to_owned(), |writer| writer.run.0.to_string());
    format!("view {} of run {}, rival {}", follows.view, run(follows.writer), run(follows.rival))
}

pub(crate) fn record(record: &Record) -> String {
    match record {
        Record::Prepared(prepared) => format!("Prepared {} versions {:?}", prepared.txn, prepared.versions),
        Record::Committed { txn, view, writes } => format!("Committed {txn} view {view}, {} writes", writes.len()),
        Record::Aborted { txn, view } => format!("Aborted {txn} view {view}"),
        Record::Outvoted => "Outvoted".into(),
        other => format!("{other:?}"),
    }
}

pub(crate) fn view_record(record: &ViewRecord) -> String {
    let active =
        record.active.as_ref().map(|it| format!("active {} {:?} outcomes {:?}", it.view.number, it.view.members(), it.outcomes));
    let pending = record.pending.as_ref().map(|it| format!("pending {} {:?}", it.number, it.members()));
    format!("{} {}", active.unwrap_or_default(), pending.unwrap_or_default()).trim().into()
}

pub(crate) fn ask(ask: &Ask) -> String {
    match ask {
        Ask::Commit(asked) => format!("commit {}", operations(asked)),
        Ask::Read(query, consistency) => format!("read {consistency:?} {query:?}"),
        Ask::Digests => "digests".into(),
        Ask::Outcome(txn) => format!("outcome of {txn}"),
    }
}

pub(crate) fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Found(Answer::Rows { rows, more }) => {
            let rows: Vec<_> =
                rows.iter().map(|row| format!("{:?}@{}/{}", row.key.bytes, row.version.0, row.written_by)).collect();
            format!("rows {}{}", rows.join(" "), if *more { " and more" } else { "" })
        }
        other => format!("{other:?}"),
    }
}
