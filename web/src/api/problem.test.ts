import { expect, it } from "vitest";
import { explain, problemFrom } from "./problem.ts";

it("reads a problem document with its fields", () => {
  const problem = problemFrom(400, {
    title: "A field is malformed",
    status: 400,
    code: 606,
    detail: "email: not one",
    errors: [{ field: "email", detail: "not one" }],
  });
  expect(problem).toMatchObject({ status: 400, code: 606, transaction: null, fields: { email: "Not one." } });
  expect(explain(problem)).toBe("Email: not one.");
});

it.each(["<html>Bad gateway</html>", null, undefined, 7, []])("makes do with a body that is no document: %j", (body) => {
  expect(explain(problemFrom(502, body))).toBe("The server answered 502.");
});

it("has its own words for the known codes", () => {
  expect(explain(problemFrom(412, { code: 706, detail: "the tweet has another version" }))).toContain("changed elsewhere");
});
