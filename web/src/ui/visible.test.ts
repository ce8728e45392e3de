import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { isVisible } from "./visible.ts";

const file = new URL("../../../coordinator/src/visible.json", import.meta.url);
const cases = JSON.parse(await readFile(file, "utf8")) as { visible: string[]; invisible: string[] };

describe("the texts that the server judges", () => {
  it.each(cases.visible)("takes %j", (text) => expect(isVisible(text)).toBe(true));
  it.each(cases.invisible)("refuses %j", (text) => expect(isVisible(text)).toBe(false));
});
