/** A cluster of real processes, a worker each, with the coordinator that serves the app. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Link } from "./link.ts";
import { freePort } from "./port.ts";
import { Process } from "./process.ts";

export class Worker {
  private readonly process = new Process();
  private port = 0;
  /** Where the coordinator reaches it. */
  readonly link = new Link(() => this.port);

  /** Without a directory it keeps its records in memory alone. */
  constructor(private readonly data: string | null) {}

  /** The port stays the same when it is started again. */
  async start(): Promise<void> {
    const kept = this.data === null ? [] : ["--data", this.data];
    if (this.port === 0) this.port = await freePort();
    const ready = await this.process.start(["worker", `127.0.0.1:${this.port}`, ...kept]);
    const port = / cluster \S+:(\d+)/.exec(ready)?.[1];
    if (port === undefined) throw new Error(`no cluster address in ${ready}`);
    this.port = Number(port);
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.process.end("SIGKILL");
  }

  async remove(): Promise<void> {
    await this.process.end("SIGTERM");
    await this.link.close();
  }
}

/** Whether the workers of a cluster have logs. */
export type Durability = "memory" | "logged";

export class Cluster {
  private readonly data = mkdtempSync(join(tmpdir(), "skein-e2e-"));
  private readonly coordinator = new Process();
  readonly workers: readonly Worker[];
  url = "";

  constructor(count: number, durability: Durability) {
    const directory = (number: number) => (durability === "memory" ? null : join(this.data, `worker-${number}`));
    this.workers = Array.from({ length: count }, (_, number) => new Worker(directory(number)));
  }

  async start(): Promise<void> {
    await Promise.all(this.workers.map((worker) => Promise.all([worker.start(), worker.link.open()])));
    // A narrow link delays the signs of life too; a worker that dies is known by its connection all the same.
    const patience = ["--heartbeat", "1000", "--heartbeats-missed", "20", "--compare", "1"];
    const kept = ["--data", join(this.data, "coordinator")];
    const places = this.workers.map((worker) => worker.link.address);
    const args = ["coordinator", "127.0.0.1:0", ...places, "--auth", "name", ...kept, ...patience];
    this.url = (await this.coordinator.start(args)).split(" ")[0] ?? "";
  }

  async remove(): Promise<void> {
    await this.coordinator.end("SIGTERM");
    await Promise.all(this.workers.map((worker) => worker.remove()));
    rmSync(this.data, { recursive: true, force: true });
  }
}
