import "./cluster.css";
import { useEffect, useMemo } from "react";
import type { ClusterStatus } from "../api/client.ts";
import { poll } from "../api/poll.ts";
import { announce } from "../ui/announcer.ts";
import { Button } from "../ui/button.tsx";
import { Heading } from "../ui/heading.tsx";
import { Icon } from "../ui/icon.tsx";
import { Notice } from "../ui/notice.tsx";
import { momentText } from "../ui/since.ts";
import { useStore } from "../ui/use-store.ts";
import { Waiting } from "../ui/waiting.tsx";
import { ClusterStore } from "./cluster-store.ts";
import { WorkerList } from "./worker-list.tsx";
import {
  agreementText,
  comparisonText,
  copiesText,
  durabilityText,
  needsPerson,
  summaryOf,
  withdrawnAgreement,
  withdrawnSummary,
} from "./wording.ts";

const pollPauseMs = 1_500;

export default function ClusterPage() {
  const store = useMemo(() => new ClusterStore(), []);
  const { known, current, failure } = useStore(store);
  const status = known?.status ?? null;
  // Said once, when what is known is withdrawn; from then on it stands there.
  const asOf = useMemo(() => (known === null || current ? null : momentText(known.atMs, Date.now())), [known, current]);
  useEffect(() => poll(() => store.refresh(), pollPauseMs), [store]);

  return (
    <section className="cluster">
      <Heading>Cluster</Heading>
      {status === null && failure === null && <Waiting what="the cluster's state" />}
      {failure !== null && (
        <Notice
          tone="bad"
          icon="offline"
          title="The coordinator cannot tell how the cluster stands"
          action={<Button onPress={() => void store.refresh()}>Ask again</Button>}
        >
          {failure} {asOf !== null && `Below is what was last known, as of ${asOf}.`}
        </Notice>
      )}
      {status !== null && (
        <div>
          {status.started_empty_in_view !== null && <BegunAnew view={status.started_empty_in_view} />}
          {status.curtailed_in_view !== null && <Curtailed view={status.curtailed_in_view} />}
          <Summary status={status} asOf={asOf} />
          {asOf === null && needsPerson(status) && <Undecided />}
          <Workers status={status} asOf={asOf} />
          <Underway status={status} asOf={asOf} />
        </div>
      )}
    </section>
  );
}

interface PartProps {
  status: ClusterStatus;
  /** Null while the status holds; else the time until which it was known, and the page claims nothing about the present. */
  asOf: string | null;
}

const summaryIcons = { good: "check", warn: "alert", bad: "alert", unknown: "question" } as const;

function Summary({ status, asOf }: PartProps) {
  const summary = asOf === null ? summaryOf(status) : withdrawnSummary(asOf);
  return (
    <>
      <p role="status" className={`summary summary-${summary.tone}`}>
        <Icon name={summaryIcons[summary.tone]} />
        {summary.text}
      </p>
      <dl className="facts">
        <Fact name="View" value={status.view === null ? "none yet" : String(status.view)}>
          {asOf !== null && `As of ${asOf}.`}
          {asOf === null && (status.pending_view === null ? "Moves on when members go or come." : `Changing to ${status.pending_view}.`)}
        </Fact>
        <Fact name="Copies of each record" value={String(status.copies)}>
          {asOf === null ? copiesText(status) : `As of ${asOf}.`}
        </Fact>
        <Fact name="Durability" value={status.durability ?? "not known"}>
          {asOf === null ? durabilityText(status.durability) : `As of ${asOf}.`}
        </Fact>
      </dl>
    </>
  );
}

function Fact({ name, value, children }: { name: string; value: string; children?: React.ReactNode }) {
  return (
    <div className="fact">
      <dt>{name}</dt>
      <dd>
        <span className="fact-value">{value}</span>
        {children !== undefined && <span className="fact-more">{children}</span>}
      </dd>
    </div>
  );
}

/** Never taken back, since what is lost is lost for good. */
function BegunAnew({ view }: { view: number }) {
  const title = `All records were lost: the cluster has begun anew, empty, with view ${view}`;
  useEffect(() => announce(title, "assertive"), [title]);
  return (
    <Notice tone="bad" icon="alert" title={title}>
      Every member had kept its records in memory alone, and every member was started anew. What was written before is gone. A
      worker that is started with <code>--data</code> keeps its records over that.
    </Notice>
  );
}

function Curtailed({ view }: { view: number }) {
  const title = `Acknowledged writes may be lost: the cluster has gone on from an incomplete copy with view ${view}`;
  useEffect(() => announce(title, "assertive"), [title]);
  return (
    <Notice tone="bad" icon="alert" title={title}>
      No member was left that held all records, and somebody who runs the cluster has said to go on with less. What was written last
      before that may be gone.
    </Notice>
  );
}

/** What a person has to do, since the cluster changes nothing by itself. */
function Undecided() {
  const title = "The copies differ, and no more than half of them hold the same";
  useEffect(() => announce(title, "assertive"), []);
  return (
    <Notice tone="warn" icon="alert" title={title}>
      The cluster changes nothing until a person decides. Compare the copies below, and look for what happened to one of them.
      Then take the wrong one out with <code>skein worker remove</code>, and in again with{" "}
      <code>skein worker add</code>: it copies all records from those that stayed.
    </Notice>
  );
}

function Workers({ status, asOf }: PartProps) {
  return (
    <>
      <h2 className="subheading">Workers</h2>
      <p className="remark">
        A member holds all records. A worker that is new or comes back is a learner first: it takes part in every write, and is a
        member once it has copied the rest.
      </p>
      {status.view === null && (
        <Notice tone="calm" icon="cluster" title="No members yet">
          The first view forms when every worker that was named has answered.
        </Notice>
      )}
      <WorkerList status={status} asOf={asOf} />
      {status.view !== null && (
        <p className="remark">
          {asOf === null ? agreementText(status) : withdrawnAgreement(status, asOf)}{" "}
          {asOf === null && comparisonText(status.comparison)}
        </p>
      )}
    </>
  );
}

function Underway({ status, asOf }: PartProps) {
  return (
    <>
      <h2 className="subheading">Under way at this coordinator</h2>
      {asOf !== null && <p className="remark">As of {asOf}.</p>}
      <dl className="facts">
        <Fact name="Transactions" value={status.in_flight.toLocaleString()} />
        <Fact name="In doubt" value={status.in_doubt.toLocaleString()} />
        <Fact name="Queued" value={status.queued.toLocaleString()} />
        <Fact name="Reads" value={status.reads.toLocaleString()} />
      </dl>
    </>
  );
}
