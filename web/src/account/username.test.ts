import { expect, it } from "vitest";
import { usernameFault } from "./username.ts";

it.each(["a", "Ada_L.ovelace-1", "x".repeat(32)])("takes %j", (name) => {
  expect(usernameFault(name)).toBeUndefined();
});

it.each(["", "x".repeat(33), "ada lovelace", "ädä", "a/b"])("refuses %j", (name) => {
  expect(usernameFault(name)).toBeTypeOf("string");
});
