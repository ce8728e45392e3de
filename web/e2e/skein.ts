/** A whole Skein as a child process, killed without warning where a test wants that. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./port.ts";
import { Process } from "./process.ts";

export class Skein {
  private readonly process = new Process();
  private address = "";
  private readonly data = mkdtempSync(join(tmpdir(), "skein-e2e-"));

  /** `flags` go to `skein up` beside those for address and data. */
  constructor(private readonly flags: readonly string[] = []) {}

  /** Where it serves. The port stays the same when it is started again. */
  get url(): string {
    return `http://${this.address}`;
  }

  async start(): Promise<void> {
    if (this.address === "") this.address = `127.0.0.1:${await freePort()}`;
    const ready = await this.process.start(["up", "--http", this.address, "--data", this.data, ...this.flags]);
    this.address = new URL(ready.split(" ")[0] ?? "").host;
  }

  /** Lets it hang: connections stay, and nothing is answered. */
  hang(): void {
    this.process.signal("SIGSTOP");
  }

  goOn(): void {
    this.process.signal("SIGCONT");
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.process.end("SIGKILL");
  }

  /** Ends it, and removes its data. */
  async remove(): Promise<void> {
    this.goOn();
    await this.process.end("SIGTERM");
    rmSync(this.data, { recursive: true, force: true });
  }
}
