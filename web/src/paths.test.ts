import { expect, it } from "vitest";
import { afterLogin, loginThen } from "./paths.ts";

it("comes back to where the reader wanted to go", () => {
  const address = new URL(loginThen("/cluster"), "http://skein.test");
  expect(afterLogin(address.searchParams)).toBe("/cluster");
  expect(loginThen("/main")).toBe("/login");
});

it.each(["//evil.test", "/\\evil.test", "https://evil.test", "javascript:alert(1)", ""])("never leaves the app for %j", (next) => {
  expect(afterLogin(new URLSearchParams({ next }))).toBe("/main");
});
