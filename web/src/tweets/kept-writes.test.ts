import { expect, it } from "vitest";
import { KeptWrites, type KeptWrite } from "./kept-writes.ts";
import { shelfOf } from "./shelf.ts";
import { MemoryStorage } from "./storage.fixture.ts";

const keyOf = (n: number) => n.toString(16).padStart(32, "0");

function post(n: number, change: Partial<KeptWrite> = {}): KeptWrite {
  const intent = { kind: "post", text: `post ${n}` } as const;
  return { key: keyOf(n), intent, sent: false, atMs: 1_700_000_000_000 + n, transaction: null, refused: null, ...change };
}

function world() {
  const storage = new MemoryStorage();
  const of = (username: string) => new KeptWrites(username, shelfOf(() => storage));
  return { storage, of };
}

it("has a person's writes again, oldest first, and nobody else's", () => {
  const { of } = world();
  of("Ada").put(post(2));
  of("ada").put(post(1, { transaction: "7-1" }));
  of("ada.b").put(post(3));
  expect(of("ada").all()).toEqual([post(1, { transaction: "7-1" }), post(2)]);
  expect(of("bob").all()).toEqual([]);
  of("ada").remove(keyOf(1));
  expect(of("ada").all()).toEqual([post(2)]);
});

it("is not misled by what else is in storage, or by what cannot be read", () => {
  const { storage, of } = world();
  storage.setItem("skein.draft.ada", "half a thou");
  storage.setItem(`skein.outbox.ada/${keyOf(1)}`, "{");
  storage.setItem(`skein.outbox.ada/${keyOf(2)}`, '{"sent":true,"atMs":1,"intent":{"kind":"dance"}}');
  storage.setItem(`skein.outbox.ada/${keyOf(3)}`, '{"sent":true,"atMs":1,"intent":{"kind":"edit","text":"x","tweet":null}}');
  storage.setItem("skein.outbox.ada/else", JSON.stringify(post(4)));
  expect(of("ada").all()).toEqual([]);
  expect(storage.length).toBe(5);
});

it("always has room to note that a write was sent", () => {
  const { storage, of } = world();
  expect(of("ada").put(post(1))).toBe(true);
  const key = storage.key(0) ?? "";
  storage.charactersMax = key.length + (storage.getItem(key)?.length ?? 0);
  expect(of("ada").put(post(2))).toBe(false);
  expect(of("ada").put(post(1, { sent: true, atMs: 1_800_000_000_000 }))).toBe(true);
  expect(of("ada").all()).toEqual([post(1, { sent: true, atMs: 1_800_000_000_000 })]);
});
