export { Button, type ButtonProps, Field, type FieldProps, Menu, Select } from "./controls.js";
export { Dialog } from "./dialog.js";
export * from "./format.js";
export { Icon, type IconName } from "./icon.js";
export { Alert, Bar, Chip, Empty, type Tone } from "./notices.js";
export { type Column, type Sort, Table, useNarrow, useWindow } from "./table.js";
export { type Tab, Tabs } from "./tabs.js";
export { Top } from "./top.js";
