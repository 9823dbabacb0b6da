import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon, type IconName } from "./icon.js";

/** A reference to an element that takes the focus when it appears, if it should. */
function useFocus<T extends HTMLElement>(focus: boolean | undefined): RefObject<T | null> {
  const element = useRef<T>(null);
  useEffect(() => {
    if (focus) element.current?.focus();
  }, [focus]);
  return element;
}

export interface ButtonProps {
  /** `main`: the one that goes on. `bad`: it ends or erases something. `quiet`: without an edge. */
  readonly kind?: "main" | "bad" | "quiet" | undefined;
  readonly icon?: IconName | undefined;
  /** Its name, where it shows an icon alone. */
  readonly label?: string | undefined;
  readonly disabled?: boolean | undefined;
  /** Whether it is held down; undefined if it cannot be. */
  readonly pressed?: boolean | undefined;
  /** Sends the form that it stands in. */
  readonly submit?: boolean | undefined;
  /** Takes the focus when it appears. */
  readonly focus?: boolean | undefined;
  readonly onClick?: ((event: MouseEvent) => unknown) | undefined;
  readonly children?: ComponentChildren;
}

export function Button({ kind, icon, label, disabled, pressed, submit, focus, onClick, children }: ButtonProps) {
  const button = useFocus<HTMLButtonElement>(focus);
  const square = children === undefined ? " square" : "";
  return (
    <button
      ref={button}
      type={submit ? "submit" : "button"}
      class={`button ${kind ?? ""}${square}`}
      aria-label={label}
      title={square ? label : undefined}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

export interface FieldProps {
  readonly label: string;
  /** The label is for screen readers alone; `placeholder` says it to others. */
  readonly hidden?: boolean | undefined;
  readonly value: string;
  readonly type?: "text" | "search" | "password" | undefined;
  readonly icon?: IconName | undefined;
  readonly placeholder?: string | undefined;
  readonly name?: string | undefined;
  /** Marks it as different from what it was. */
  readonly changed?: boolean | undefined;
  /** The id of an element that says more about it. */
  readonly describedBy?: string | undefined;
  readonly invalid?: boolean | undefined;
  readonly focus?: boolean | undefined;
  readonly onInput: (value: string) => void;
}

export function Field(props: FieldProps) {
  const { label, hidden, value, type = "text", icon, placeholder, name, changed, describedBy, invalid, focus, onInput } = props;
  const input = useFocus<HTMLInputElement>(focus);
  return (
    <label class={`field${icon ? " with-icon" : ""}`}>
      <span class={hidden ? "sr" : ""}>{label}</span>
      {icon && <Icon name={icon} />}
      <input
        ref={input}
        class={changed ? "changed" : ""}
        name={name}
        type={type as "text"} // the types allow one at a time
        value={value}
        placeholder={placeholder}
        autocomplete="off"
        spellcheck={false}
        aria-describedby={describedBy}
        aria-invalid={invalid || undefined}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  );
}

export interface SelectProps {
  readonly label: string;
  readonly hidden?: boolean | undefined;
  readonly value: string;
  readonly options: ReadonlyArray<readonly [value: string, text: string]>;
  readonly onChange: (value: string) => void;
}

export function Select({ label, hidden, value, options, onChange }: SelectProps) {
  return (
    <label class="field select">
      <span class={hidden ? "sr" : ""}>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

export interface MenuProps {
  readonly text: string;
  readonly icon?: IconName | undefined;
  readonly items: ReadonlyArray<{ readonly text: string; readonly note?: string; readonly onChoose: () => unknown }>;
}

/** A button that shows a list of actions; Escape, a choice or a click elsewhere closes it. */
export function Menu({ text, icon, items }: MenuProps) {
  const box = useRef<HTMLDetailsElement>(null);
  const close = (): void => box.current?.removeAttribute("open");
  useEffect(() => {
    const elsewhere = (event: Event): void => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) close();
    };
    document.addEventListener("pointerdown", elsewhere);
    document.addEventListener("focusin", elsewhere);
    return () => {
      document.removeEventListener("pointerdown", elsewhere);
      document.removeEventListener("focusin", elsewhere);
    };
  }, []);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Escape" || !box.current?.open) return;
    close();
    box.current.querySelector("summary")?.focus();
  };
  const choose = (act: () => unknown) => (): void => {
    close();
    box.current?.querySelector("summary")?.focus();
    act();
  };
  return (
    <details class="menu" ref={box} onKeyDown={onKeyDown}>
      <summary class="button">
        {icon && <Icon name={icon} />}
        {text}
      </summary>
      <ul>
        {items.map((item) => (
          <li key={item.text}>
            <button type="button" onClick={choose(item.onChoose)}>
              {item.text}
              {item.note && <small>{item.note}</small>}
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}
