/** A card for each worker, whatever part it plays. What is not known any more has a time and neither a colour nor a bar. */
import type { ClusterMember, ClusterStatus } from "../api/client.ts";
import { Progress } from "../ui/progress.tsx";
import { bytesText, digestText } from "./wording.ts";
import { workersOf, type ClusterWorker } from "./workers.ts";

/** `asOf` is null while the status holds, else until when it did. */
export function WorkerList({ status, asOf }: { status: ClusterStatus; asOf: string | null }) {
  return (
    <ul className="workers">
      {workersOf(status).map((worker) => (
        <li key={worker.key}>
          <WorkerCard worker={worker} asOf={asOf} />
        </li>
      ))}
    </ul>
  );
}

const partNames = { member: "Member", learner: "Learner", other: "Worker" } satisfies Record<ClusterWorker["part"], string>;

function WorkerCard({ worker, asOf }: { worker: ClusterWorker; asOf: string | null }) {
  const tone = asOf === null ? worker.tone : "unknown";
  const state = asOf === null ? worker.state : `as of ${asOf}: ${worker.state}`;
  return (
    <article className="worker" aria-label={`${partNames[worker.part]} ${worker.address}`}>
      <p className="worker-head">
        <span className={`lamp lamp-${tone}`} aria-hidden="true" />
        <span>
          <strong className="worker-address">{worker.address}</strong>{" "}
          <span className={`worker-state worker-state-${tone}`}>{state}</span>
        </span>
      </p>
      {worker.part === "member" && <MemberFacts member={worker.member} />}
      {worker.part === "learner" && asOf === null && <Progress {...worker.copying} />}
      {worker.part === "other" && asOf === null && <p className="worker-prospect">{worker.prospect}</p>}
    </article>
  );
}

function MemberFacts({ member }: { member: ClusterMember }) {
  return (
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
          <code className={member.digest === null ? undefined : "digest"} key={member.digest} title={member.digest ?? undefined}>
            {digestText(member.digest)}
          </code>
        </dd>
      </div>
    </dl>
  );
}
