import { expect, it } from "vitest";
import { shelfOf } from "./shelf.ts";
import { MemoryStorage } from "./storage.fixture.ts";

it("keeps, lists and gives up", () => {
  const shelf = shelfOf(() => new MemoryStorage());
  const same = new MemoryStorage();
  const kept = shelfOf(() => same);
  expect(shelf.keys()).toEqual([]);
  expect(kept.write("a", "1")).toBe(true);
  expect(kept.write("b", "2")).toBe(true);
  expect(kept.keys()).toEqual(["a", "b"]);
  kept.remove("a");
  expect([kept.read("a"), kept.read("b")]).toEqual([null, "2"]);
});

it("says that nothing is kept where storage is forbidden, and never throws", () => {
  const shelf = shelfOf(() => {
    throw new DOMException("denied", "SecurityError");
  });
  expect(shelf.write("a", "1")).toBe(false);
  expect(shelf.read("a")).toBeNull();
  expect(shelf.keys()).toEqual([]);
  expect(() => shelf.remove("a")).not.toThrow();
});

it("says that nothing is kept where storage is full, and leaves what was there", () => {
  const storage = new MemoryStorage();
  const shelf = shelfOf(() => storage);
  expect(shelf.write("a", "first")).toBe(true);
  storage.charactersMax = 6;
  expect(shelf.write("a", "a longer second")).toBe(false);
  expect(shelf.read("a")).toBe("first");
});
