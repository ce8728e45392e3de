import { afterEach, expect, it, vi } from "vitest";
import { SignUp, type SignUpState } from "./sign-up.ts";

const { post } = vi.hoisted(() => ({ post: vi.fn() }));
vi.mock("../api/client.ts", () => ({ api: { POST: post } }));
vi.mock("../api/session.ts", () => ({ session: {} }));

const details = { username: "ada", name: "Ada", email: "ada@example.org", password: "a long password" };

/** Signs up at a server that always answers so, and gives what was reported, and how often it was asked. */
async function signUp(status: number, code: number): Promise<{ reported: SignUpState[]; asked: number }> {
  vi.useFakeTimers();
  const response = new Response(null, { status, headers: { "Retry-After": "60" } });
  post.mockReset().mockResolvedValue({ error: { status, code, title: "No", detail: "no" }, response });
  const reported: SignUpState[] = [];
  const running = new SignUp(details, (state) => reported.push(state));
  await vi.advanceTimersByTimeAsync(150_000);
  running.stop();
  return { reported, asked: post.mock.calls.length };
}

afterEach(() => {
  vi.useRealTimers();
});

it("says at once that too many have signed up from here, and does not send again", async () => {
  const { reported, asked } = await signUp(429, 720);
  expect(reported.at(-1)).toMatchObject({ kind: "refused", problem: { code: 720 } });
  expect(asked).toBe(1);
});

it("sends again when the server has too much to do", async () => {
  const { reported, asked } = await signUp(503, 715);
  expect(reported[0]).toEqual({ kind: "pending", unknown: false });
  expect(asked).toBeGreaterThan(1);
});
