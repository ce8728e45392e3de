/** Ports for servers that come back to them after a kill. */
import { createServer } from "node:net";

/** Below those that the system gives to outgoing connections, so that none of these can take a port while its server is down. */
const lowest = 10_000;
const highest = 31_999;

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

/** A port of loopback that nobody has at the moment. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < 100; tried++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1));
    if (await isFree(port)) return port;
  }
  throw new Error("none of a hundred ports is free");
}
