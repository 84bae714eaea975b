// SPDX-License-Identifier: Apache-2.0
/** The controls of the third part: what is in them, whether it will do, and which of them can be used now. */
import { info } from '../../../src/index.js';
import { byId, make } from '../page/dom.js';
import { setFieldError } from '../page/field_error.js';
import { cleanText, noteOn, problemOf } from './corpus.js';
import { SAMPLE_TEXT } from './sample_text.js';
import { SIZE_NAMES, settingsOf, sizeWords, usualSteps } from './sizes.js';
import type { SizeName } from './sizes.js';
import type { Writer } from './writer.js';

const MOST_STEPS = 100_000;

/** What a model is busy with. */
export type Activity = 'learning' | 'writing' | 'saving' | 'loading' | 'deleting';

export interface Wish {
  text: string;
  size: SizeName;
  steps: number;
}

export const fields = {
  form: byId('writer-form', HTMLFormElement),
  text: byId('writer-text', HTMLTextAreaElement),
  size: byId('writer-size', HTMLSelectElement),
  steps: byId('writer-steps', HTMLInputElement),
  start: byId('writer-start', HTMLButtonElement),
  stop: byId('writer-stop', HTMLButtonElement),
  anew: byId('writer-anew', HTMLButtonElement),
  prompt: byId('writer-prompt', HTMLInputElement),
  temperature: byId('writer-temperature', HTMLInputElement),
  write: byId('writer-write', HTMLButtonElement),
  save: byId('writer-save', HTMLButtonElement),
  load: byId('writer-load', HTMLButtonElement),
  forget: byId('writer-forget', HTMLButtonElement),
};

const size = () => fields.size.value as SizeName;

function showNote(): void {
  byId('writer-text-note', HTMLElement).textContent = noteOn(cleanText(fields.text.value));
}

function showTemperature(): void {
  const value = Number(fields.temperature.value);
  const words = value === 0 ? 'always the likeliest character' : value.toFixed(1);
  byId('writer-temperature-value', HTMLElement).textContent = words;
}

/** Fills the controls, with a model that suits the device. */
export function prepareForm(): void {
  const { webgpu, backend } = info();
  const isFast = backend === 'webgpu' && webgpu?.softwareAdapter === false;
  const choices = SIZE_NAMES.map((name) => make('option', { value: name }, sizeWords(name)));
  fields.size.replaceChildren(...choices);
  fields.size.value = isFast ? 'small' : 'tiny';
  fields.steps.value = String(usualSteps(size()));
  fields.text.value = SAMPLE_TEXT;
  fields.prompt.value = 'The ';
  showNote();
  showTemperature();
  fields.text.addEventListener('input', () => {
    showNote();
    setFieldError(fields.text, undefined);
  });
  fields.size.addEventListener('change', () => {
    fields.steps.value = String(usualSteps(size()));
    setFieldError(fields.text, undefined);
    setFieldError(fields.steps, undefined);
  });
  fields.steps.addEventListener('input', () => setFieldError(fields.steps, undefined));
  fields.prompt.addEventListener('input', () => setFieldError(fields.prompt, undefined));
  fields.temperature.addEventListener('input', showTemperature);
}

function stepsProblem(): string | undefined {
  const given = fields.steps.value.trim();
  if (/^\d+$/.test(given) && Number(given) >= 1 && Number(given) <= MOST_STEPS) return undefined;
  const got = given === '' ? 'nothing' : `“${given}”`;
  return `Steps are a whole number from 1 to 100,000, and here stands ${got}.`;
}

/** What is to be learned; undefined if something will not do, which is then said beside it. */
export function readWish(): Wish | undefined {
  const cleaned = cleanText(fields.text.value);
  const problems = [
    [fields.text, problemOf(cleaned, settingsOf(size(), 1))],
    [fields.steps, stepsProblem()],
  ] as const;
  for (const [field, problem] of problems) setFieldError(field, problem);
  const wrong = problems.find(([, problem]) => problem !== undefined);
  wrong?.[0].focus();
  if (wrong) return undefined;
  return { text: cleaned.text, size: size(), steps: Number(fields.steps.value) };
}

/** Puts into the controls what a loaded model was made with. */
export function showWish({ text, size: name, settings }: Writer): void {
  fields.text.value = text;
  fields.size.value = name;
  fields.steps.value = String(settings.steps);
  for (const field of [fields.text, fields.steps, fields.prompt]) setFieldError(field, undefined);
  showNote();
}

/** Which buttons can be pressed. The focus goes along when the pressed one no longer can. */
export function showButtons(writer: Writer | null, activity: Activity | 'none'): void {
  const focused = document.activeElement;
  const isIdle = activity === 'none';
  fields.start.textContent = writer ? 'Go on learning' : 'Start learning';
  fields.start.disabled = !isIdle || writer?.isDone === true;
  fields.stop.disabled = activity !== 'learning' && activity !== 'writing';
  fields.anew.hidden = !writer || !isIdle;
  fields.write.disabled = !isIdle || !writer;
  fields.save.disabled = !isIdle || !writer;
  fields.load.disabled = !isIdle;
  fields.forget.disabled = !isIdle;
  if (!(focused instanceof HTMLButtonElement) || !(focused.disabled || focused.hidden)) return;
  const next = [fields.stop, fields.start, fields.anew].find(
    (each) => !each.disabled && !each.hidden,
  );
  next?.focus();
}
