import { useRef, useState, type FormEvent } from "react";
import { Form, Link } from "react-aria-components";
import { explain } from "../api/problem.ts";
import { settings } from "../api/settings.ts";
import { paths } from "../paths.ts";
import { Button } from "../ui/button.tsx";
import { characterCount } from "../ui/characters.ts";
import { Field } from "../ui/field.tsx";
import { Heading } from "../ui/heading.tsx";
import { useStore } from "../ui/use-store.ts";
import { isVisible } from "../ui/visible.ts";
import { SignUp, type Details, type SignUpState } from "./sign-up.ts";
import { usernameFault } from "./username.ts";

const empty: Details = { username: "", name: "", email: "", password: "" };

export function CreatePage() {
  const { auth } = useStore(settings);
  const [details, setDetails] = useState(empty);
  const [faults, setFaults] = useState<Partial<Details>>({});
  const [state, setState] = useState<SignUpState>({ kind: "idle" });
  const signUp = useRef<SignUp | null>(null);
  const pending = state.kind === "pending";

  function submit(event: FormEvent) {
    event.preventDefault();
    if (pending) return;
    const trimmed = { ...details, username: details.username.trim(), email: details.email.trim() };
    const found = faultsOf(trimmed);
    setFaults(found);
    if (Object.keys(found).length > 0) return;
    signUp.current?.stop();
    signUp.current = new SignUp(trimmed, (next) => {
      setState(next);
      if (next.kind === "refused") setFaults(next.problem.fields);
    });
  }

  const field = (name: keyof Details) => ({
    name,
    value: details[name],
    onChange: (value: string) => setDetails((before) => ({ ...before, [name]: value })),
    error: faults[name],
  });

  const refusal = state.kind === "refused" && Object.keys(state.problem.fields).length === 0;
  return (
    <section className="account">
      <Heading>Create an account</Heading>
      {auth === "name" && (
        <p className="account-note">
          On this server a name is enough to{" "}
          <Link className="link" href={paths.login}>
            log in
          </Link>
          ; an account made here has the name and email address as well.
        </p>
      )}
      <Form className="account-form" validationBehavior="aria" onSubmit={submit}>
        <Field
          {...field("username")}
          label="Username"
          hint="Up to 32 of a-z, A-Z, 0-9 and _ . -"
          autoComplete="username"
          literal
          autoFocus
        />
        <Field {...field("name")} label="Name" hint="As you want to be called" autoComplete="name" />
        <Field {...field("email")} label="Email" type="email" autoComplete="email" />
        <Field
          {...field("password")}
          label="Password"
          hint="At least 8 characters"
          type="password"
          autoComplete="new-password"
        />
        <p role="alert" className="account-refusal">
          {refusal && explain(state.problem)}
        </p>
        <p role="status" className="account-note-plain">
          {pending && state.unknown && "Whether the account was made is not known yet. Asking …"}
        </p>
        <Button look="strong" type="submit" busyText={pending ? "Creating …" : undefined}>
          Create the account
        </Button>
      </Form>
      <p>
        Been here before?{" "}
        <Link className="link" href={paths.login}>
          Log in
        </Link>
      </p>
    </section>
  );
}

function faultsOf({ username, name, email, password }: Details): Partial<Details> {
  const faults: Partial<Details> = {};
  const fault = usernameFault(username);
  if (fault !== undefined) faults.username = fault;
  if (!isVisible(name)) faults.name = "Enter a name.";
  if (!/^[^\s@]+@[^\s@]+$/.test(email)) faults.email = "Enter an email address, like ada@example.org.";
  if (characterCount(password) < 8) faults.password = "A password has at least 8 characters.";
  return faults;
}
