/** Runs axe in a page. It is evaluated through the debugger, so the page's policy stays as strict as it is. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "@playwright/test";
import type { AxeResults } from "axe-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/**
 * One line for each violation; none is the aim. Changes of colour that are under way, as after a change of the theme, end
 * first: halfway through one a button has the new background and nearly the old ink. What never ends is not waited for.
 */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(async () => {
    const underWay = document.getAnimations().filter((one) => Number(one.effect?.getComputedTiming().endTime) < 2_000);
    await Promise.allSettled(underWay.map((one) => one.finished));
  });
  await page.evaluate(axe);
  const results = (await page.evaluate("axe.run()")) as AxeResults;
  return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
}
