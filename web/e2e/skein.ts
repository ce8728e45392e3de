/**
 * A whole Skein as a child process: started as a user would, known by the line it prints when it is ready, killed
 * without warning where a test wants that.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const executable = process.env["SKEIN_BIN"] ?? join(import.meta.dirname, "../../target/debug/skein");
const readyWithinMs = 30_000;
const logLinesKept = 40;

export class Skein {
  private child: ChildProcess | null = null;
  private address = "127.0.0.1:0";
  private readonly data = mkdtempSync(join(tmpdir(), "skein-e2e-"));
  private readonly log: string[] = [];

  /** `flags` go to `skein up` beside those for address and data. */
  constructor(private readonly flags: readonly string[] = []) {}

  /** Where it serves. The port stays the same when it is started again. */
  get url(): string {
    return `http://${this.address}`;
  }

  async start(): Promise<void> {
    const child = spawn(executable, ["up", "--http", this.address, "--data", this.data, ...this.flags], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    createInterface({ input: child.stderr }).on("line", (line) => {
      this.log.push(line);
      if (this.log.length > logLinesKept) this.log.shift();
    });
    const url = await new Promise<string>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${executable} up: ${why}\n${this.log.join("\n")}`));
      const timer = setTimeout(() => fail(`not ready within ${readyWithinMs} ms`), readyWithinMs);
      child.once("error", (error) => fail(error.message));
      child.once("exit", (code) => fail(`ended with ${code}`));
      createInterface({ input: child.stdout }).on("line", (line) => {
        const ready = /^ready (http:\/\/\S+)/.exec(line);
        if (ready?.[1] === undefined) return;
        clearTimeout(timer);
        resolve(ready[1]);
      });
    });
    this.address = new URL(url).host;
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  /** Ends it, and removes its data. */
  async remove(): Promise<void> {
    await this.end("SIGTERM");
    rmSync(this.data, { recursive: true, force: true });
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.child;
    this.child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }
}
