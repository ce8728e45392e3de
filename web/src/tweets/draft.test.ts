import { expect, it } from "vitest";
import { Draft } from "./draft.ts";
import { shelfOf } from "./shelf.ts";
import { MemoryStorage } from "./storage.fixture.ts";

function shelf() {
  const storage = new MemoryStorage();
  return shelfOf(() => storage);
}

it("is found again by the same person, whatever the case of the name, and by nobody else", () => {
  const kept = shelf();
  new Draft("Ada", null, kept).write("half a thou");
  expect(new Draft("ada", null, kept).read()).toBe("half a thou");
  expect(new Draft("bob", null, kept).read()).toBeNull();
  expect(new Draft("ada", "t1", kept).read()).toBeNull();
});

it("is gone when cleared or emptied", () => {
  const draft = new Draft("ada", "t1", shelf());
  draft.write("x");
  draft.clear();
  expect(draft.read()).toBeNull();
  draft.write("y");
  draft.write("");
  expect(draft.read()).toBeNull();
});

it("stays when it has become another text since", () => {
  const draft = new Draft("ada", null, shelf());
  draft.write("sent, and more");
  draft.clearIf("sent");
  expect(draft.read()).toBe("sent, and more");
  draft.clearIf("sent, and more");
  expect(draft.read()).toBeNull();
});
