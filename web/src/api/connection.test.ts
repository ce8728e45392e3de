import { expect, it } from "vitest";
import { Connection } from "./connection.ts";

it("takes two failures in a row for a server out of reach, and one answer for its return", () => {
  const connection = new Connection();
  connection.missed();
  expect(connection.state).toBe("reachable");
  connection.reached();
  connection.missed();
  expect(connection.state).toBe("reachable");
  connection.missed();
  expect(connection.state).toBe("unreachable");
  connection.reached();
  expect(connection.state).toBe("reachable");
});

it("tells offline from unreachable, and believes an answer more than the browser", () => {
  const connection = new Connection();
  connection.network(false);
  expect(connection.state).toBe("offline");
  connection.reached();
  expect(connection.state).toBe("reachable");
  connection.missed();
  expect(connection.state).toBe("offline");
  connection.network(true);
  expect(connection.state).toBe("reachable");
});

it("does not take an answer from before the network went for a sign of now", () => {
  const connection = new Connection();
  const begunIn = connection.changesSeen;
  connection.network(false);
  connection.reached(begunIn);
  expect(connection.state).toBe("offline");
  connection.reached(connection.changesSeen);
  expect(connection.state).toBe("reachable");
});
