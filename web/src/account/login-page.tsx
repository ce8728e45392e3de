import { useState, type FormEvent } from "react";
import { Form, Link } from "react-aria-components";
import { explain } from "../api/problem.ts";
import { session } from "../api/session.ts";
import { settings } from "../api/settings.ts";
import { paths } from "../paths.ts";
import { Button } from "../ui/button.tsx";
import { Field } from "../ui/field.tsx";
import { Heading } from "../ui/heading.tsx";
import { useStore } from "../ui/use-store.ts";
import { usernameFault } from "./username.ts";

interface Faults {
  username?: string | undefined;
  password?: string | undefined;
  form?: string | undefined;
}

export function LoginPage() {
  const { auth } = useStore(settings);
  const who = useStore(session);
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [pending, setPending] = useState(false);
  const [faults, setFaults] = useState<Faults>({});
  const withPassword = auth !== "name";

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (pending) return;
    const name = username.trim();
    const fault = usernameFault(name);
    const missing = withPassword && password === "" ? "Enter your password." : undefined;
    setFaults({ username: fault, password: missing });
    if (fault !== undefined || missing !== undefined) return;
    setPending(true);
    const refusal = await session.logIn(name, withPassword ? password : null);
    setPending(false);
    if (refusal === "unreachable") setFaults({ form: "The server does not answer. Try again in a moment." });
    else if (refusal?.code === 601) setFaults({ username: explain(refusal) });
    else if (refusal?.code === 602) setFaults({ password: explain(refusal) });
    else if (refusal !== null) {
      setFaults({ form: refusal.status === 401 ? "Name or password is not right." : explain(refusal) });
    }
  }

  return (
    <section className="account">
      <Heading>Log in</Heading>
      {who.kind === "nobody" && who.wasLost && (
        <p className="account-note">Your session has ended. What you were writing is kept.</p>
      )}
      {auth === "name" && (
        <p className="account-note">
          This server is set up for trying out: a name is enough, and a new name makes a new account. Anybody can
          write under any name.
        </p>
      )}
      <Form className="account-form" validationBehavior="aria" onSubmit={(event) => void submit(event)}>
        <Field
          label="Username"
          name="username"
          value={username}
          onChange={setUsername}
          error={faults.username}
          autoComplete="username"
          literal
          autoFocus
        />
        {withPassword && (
          <Field
            label="Password"
            name="password"
            type="password"
            value={password}
            onChange={setPassword}
            error={faults.password}
            autoComplete="current-password"
          />
        )}
        <p role="alert" className="account-refusal">
          {faults.form}
        </p>
        <Button look="strong" type="submit" busyText={pending ? "Logging in …" : undefined}>
          Log in
        </Button>
      </Form>
      {withPassword && (
        <p>
          New here?{" "}
          <Link className="link" href={paths.create}>
            Create an account
          </Link>
        </p>
      )}
    </section>
  );
}
