import { expect, it } from "vitest";
import { Draft, type Shelf } from "./draft.ts";

function shelf(): Shelf {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}

it("is found again by the same person, whatever the case of the name, and by nobody else", () => {
  const storage = shelf();
  new Draft("Ada", null, storage).write("half a thou");
  expect(new Draft("ada", null, storage).read()).toBe("half a thou");
  expect(new Draft("bob", null, storage).read()).toBeNull();
  expect(new Draft("ada", "t1", storage).read()).toBeNull();
});

it("is gone when cleared or emptied", () => {
  const draft = new Draft("ada", "t1", shelf());
  draft.write("x");
  draft.clear();
  expect(draft.read()).toBeNull();
});

it("lets people write where storage is forbidden", () => {
  const forbidden = () => {
    throw new DOMException("denied", "SecurityError");
  };
  const draft = new Draft("ada", null, { getItem: forbidden, setItem: forbidden, removeItem: forbidden });
  expect(() => draft.write("x")).not.toThrow();
  expect(draft.read()).toBeNull();
});
