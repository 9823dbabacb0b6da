import { render } from "preact";
import { Top } from "../parts/index.js";

render(<Top />, document.getElementById("app")!);
