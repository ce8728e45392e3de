import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { schemaText } from "../../scripts/generate-schema.mjs";

it("is what the OpenAPI document generates (after a change of the document: npm run generate)", async () => {
  const kept = await readFile(new URL("./schema.ts", import.meta.url), "utf8");
  expect(kept).toBe(await schemaText());
});
