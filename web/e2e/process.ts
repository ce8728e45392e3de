/** One process of the executable: started as a user would, known to be ready by the line it prints, ended with certainty. */
import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

const executable = process.env["SKEIN_BIN"] ?? join(import.meta.dirname, "../../target/debug/skein");
const readyWithinMs = 30_000;
const logLinesKept = 40;

export class Process {
  private child: ChildProcess | null = null;
  private readonly log: string[] = [];

  /** Resolves to what it says after `ready` once it is. */
  async start(args: readonly string[]): Promise<string> {
    const child = spawn(executable, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    createInterface({ input: child.stderr }).on("line", (line) => {
      this.log.push(line);
      if (this.log.length > logLinesKept) this.log.shift();
    });
    return new Promise<string>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${executable} ${args.join(" ")}: ${why}\n${this.log.join("\n")}`));
      const timer = setTimeout(() => fail(`not ready within ${readyWithinMs} ms`), readyWithinMs);
      child.once("error", (error) => fail(error.message));
      child.once("exit", (code) => fail(`ended with ${code}`));
      createInterface({ input: child.stdout }).on("line", (line) => {
        const ready = /^ready (.+)/.exec(line);
        if (ready?.[1] === undefined) return;
        clearTimeout(timer);
        resolve(ready[1]);
      });
    });
  }

  /** Stops it without ending it, so that it answers nothing, or lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.child?.kill(signal);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.child;
    this.child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }
}
