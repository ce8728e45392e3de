import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./shell/app.tsx";
import "./ui/tokens.css";
import "./ui/base.css";
import "./ui/controls.css";
import "./shell/shell.css";
import "./account/account.css";
import "./tweets/tweets.css";
import "./bookmarks/bookmarks.css";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has an element with the id root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
