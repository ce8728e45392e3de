import { Component, type ErrorInfo, type ReactNode } from "react";
import { Button } from "../ui/button.tsx";
import { Notice } from "../ui/notice.tsx";

/** Catches an error of the page inside, so that header, drafts and the way out stay. */
export class Crash extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override componentDidCatch(error: Error, info: ErrorInfo) {
    console.error(error, info.componentStack);
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <Notice
        tone="bad"
        icon="alert"
        title="This page broke"
        action={
          <Button look="strong" onPress={() => location.reload()}>
            Load it again
          </Button>
        }
      >
        The app made a mistake: {this.state.error.message}. Your drafts are kept.
      </Notice>
    );
  }
}
