// SPDX-License-Identifier: Apache-2.0
/** The page: finds out what computes here, then brings its three parts to life. */
import { connectBackendChoice, showDevice } from './device/device_part.js';
import { onDeviceLost } from './device/gpu_device.js';
import { startBackend } from './device/start_backend.js';
import { MeasurePart } from './measure/measure_part.js';
import { byId, make, onEvent } from './page/dom.js';
import { catchAll, notify, notifyError } from './page/notices.js';
import { readPageOptions } from './page/options.js';
import { reasonOf } from './page/words.js';
import { WriterPart } from './writer/writer_part.js';

catchAll();
const options = readPageOptions(location.search);
const measure = new MeasurePart(options.seconds);
const writer = new WriterPart();

/** Says that the device is gone, and offers to get one again: tensors are lost, the page is not. */
function onLost(why: string): void {
  measure.stop();
  writer.drop();
  const again = make('button', { type: 'button' }, 'Start it again');
  const words = `The graphics device is lost${why === '' ? '' : ` (${why})`}, and all tensors with it.`;
  const remove = notify(words, again);
  const restart = async () => {
    await start();
    remove();
  };
  onEvent(again, 'click', restart, notifyError);
}

async function start(): Promise<void> {
  showDevice(await startBackend(options.backend));
  onDeviceLost(onLost);
}

connectBackendChoice(options.backend);
try {
  await start();
  measure.enable();
  writer.enable();
} catch (error) {
  byId('device-state', HTMLElement).textContent =
    `Nothing can compute in this browser. ${reasonOf(error)}.`;
}
