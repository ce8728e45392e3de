import "./cluster.css";
import { useEffect, useMemo } from "react";
import type { ClusterMember, ClusterStatus } from "../api/client.ts";
import { poll } from "../api/poll.ts";
import { Button } from "../ui/button.tsx";
import { Heading } from "../ui/heading.tsx";
import { Icon } from "../ui/icon.tsx";
import { Notice } from "../ui/notice.tsx";
import { useStore } from "../ui/use-store.ts";
import { Waiting } from "../ui/waiting.tsx";
import { ClusterStore } from "./cluster-store.ts";
import { bytesText, digestText, durabilityText, standingOf } from "./wording.ts";

const pollPauseMs = 1_500;

export default function ClusterPage() {
  const store = useMemo(() => new ClusterStore(), []);
  const { status, failure } = useStore(store);
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
          {failure} {status !== null && "Below is what was last known."}
        </Notice>
      )}
      {status !== null && (
        <div className={failure === null ? undefined : "cluster-stale"}>
          <Summary status={status} />
          <Members status={status} />
          {status.others.length > 0 && <Others status={status} />}
          <Underway status={status} />
        </div>
      )}
    </section>
  );
}

function Summary({ status }: { status: ClusterStatus }) {
  const standing = standingOf(status);
  return (
    <>
      <p role="status" className={`standing standing-${standing.tone}`}>
        <Icon name={standing.tone === "good" ? "check" : "alert"} />
        {standing.text}
      </p>
      <dl className="facts">
        <Fact name="View" value={status.view === null ? "none yet" : String(status.view)}>
          {status.pending_view === null ? "Moves on when members go or come." : `Changing to ${status.pending_view}.`}
        </Fact>
        <Fact name="Copies of each record" value={String(status.copies)}>
          One on each member.
        </Fact>
        <Fact name="Durability" value={status.durability}>
          {durabilityText(status.durability)}
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

function Members({ status }: { status: ClusterStatus }) {
  return (
    <>
      <h2 className="subheading">Members</h2>
      {status.members.length === 0 && (
        <Notice tone="calm" icon="cluster" title="No members yet">
          The first view forms when every worker that was named has answered.
        </Notice>
      )}
      <ul className="members">
        {status.members.map((member) => (
          <li key={member.node}>
            <Member member={member} />
          </li>
        ))}
      </ul>
      <p className="agreement">
        {status.replicas_agree === null
          ? "The replicas cannot be compared at the moment."
          : status.replicas_agree
            ? "Equal digests, taken at one point: the replicas hold the same."
            : "The digests differ."}
      </p>
    </>
  );
}

function Member({ member }: { member: ClusterMember }) {
  return (
    <article className="member" aria-label={`Member ${member.address}`}>
      <Reached address={member.address} connected={member.connected} />
      <dl className="member-facts">
        <div>
          <dt>Node</dt>
          <dd>
            <code title={member.node}>{member.node.slice(0, 8)}</code>
          </dd>
        </div>
        <div>
          <dt>Records</dt>
          <dd>{member.records === null ? "unknown" : member.records.toLocaleString()}</dd>
        </div>
        <div>
          <dt>Data</dt>
          <dd>{member.bytes === null ? "unknown" : bytesText(member.bytes)}</dd>
        </div>
        <div>
          <dt>Digest</dt>
          <dd>
            {/* A new element for each digest, so that a change is seen as one. */}
            <code className="digest" key={member.digest} title={member.digest ?? undefined}>
              {digestText(member.digest)}
            </code>
          </dd>
        </div>
      </dl>
    </article>
  );
}

function Others({ status }: { status: ClusterStatus }) {
  return (
    <>
      <h2 className="subheading">Workers that are not members</h2>
      <p className="agreement">They hold no copy that counts: not met yet, or left out when they were out of reach.</p>
      <ul className="members">
        {status.others.map((worker) => (
          <li key={`${worker.address} ${worker.node}`}>
            <article className="member" aria-label={`Worker ${worker.address}`}>
              <Reached address={worker.address} connected={worker.connected} />
            </article>
          </li>
        ))}
      </ul>
    </>
  );
}

function Reached({ address, connected }: { address: string; connected: boolean }) {
  return (
    <p className="member-head">
      <span className={connected ? "lamp lamp-on" : "lamp lamp-off"} aria-hidden="true" />
      <strong className="member-address">{address}</strong>
      <span className="member-state">{connected ? "connected" : "not connected"}</span>
    </p>
  );
}

function Underway({ status }: { status: ClusterStatus }) {
  return (
    <>
      <h2 className="subheading">Under way at this coordinator</h2>
      <dl className="facts">
        <Fact name="Transactions" value={status.in_flight.toLocaleString()} />
        <Fact name="In doubt" value={status.in_doubt.toLocaleString()} />
        <Fact name="Queued" value={status.queued.toLocaleString()} />
        <Fact name="Reads" value={status.reads.toLocaleString()} />
      </dl>
    </>
  );
}
