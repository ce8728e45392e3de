/** A TCP connection's way to a worker, which a test can make narrow: so a copy lasts until the test has seen it. */
import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";

export class Link {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  /** How much goes to the worker in a second; the way back is as wide as ever. */
  bytesPerSecond = Number.POSITIVE_INFINITY;

  constructor(private readonly port: () => number) {
    this.server = createServer((near) => this.join(near));
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** Whatever ends one side ends the other, as if there was nothing in between. */
  private join(near: Socket): void {
    const far = connect(this.port(), "127.0.0.1");
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(one);
      one.setNoDelay(true);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
    far.pipe(near);
    near.on("data", (bytes) => {
      near.pause();
      far.write(bytes);
      setTimeout(() => near.resume(), (bytes.length / this.bytesPerSecond) * 1_000);
    });
  }
}
