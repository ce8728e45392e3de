/** Goes through a page as a person without a mouse does. */
import type { Page } from "@playwright/test";

/** Presses Tab until what is focused has this name. */
export async function tabTo(page: Page, role: "button" | "link" | "textbox", name: string | RegExp): Promise<void> {
  const target = page.getByRole(role, { name }).first();
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press("Tab");
    if (await target.evaluate((element) => element === document.activeElement).catch(() => false)) return;
  }
  throw new Error(`${role} ${String(name)} was not reached by 40 presses of Tab`);
}
