// A board for a browser that has none: `navigator.serial` with an ESP32-C3 on it that speaks its ROM's serial protocol (Espressif,
// "Serial Protocol" of esptool's documentation) and keeps what is written. Runs in the page, so it can use nothing from here.
export function fakeBoard({ chip }) {
  const END = 0xc0;
  const ESC = 0xdb;
  const OP = { security: 0x14, readReg: 0x0a, sync: 0x08, memEnd: 0x06, deflBegin: 0x10, deflData: 0x11 };
  const word = (bytes, at) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
  const little = (n) => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255];
  // Offset in the flash, and the compressed bytes that were sent for it.
  const written = [];

  let out = null;
  const slip = (bytes) => {
    const framed = [END];
    for (const b of bytes) framed.push(...(b === END ? [ESC, 0xdc] : b === ESC ? [ESC, 0xdd] : [b]));
    out.enqueue(Uint8Array.from([...framed, END]));
  };
  const answer = (op, value = 0, data = []) => slip([1, op, data.length + 2, 0, ...little(value), ...data, 0, 0]);

  function take(packet) {
    const [, op] = packet;
    const data = packet.slice(8);
    if (op === OP.sync) for (let i = 0; i < 8; i += 1) answer(op, 0x20120707);
    else if (op === OP.security) answer(op, 0, [...little(0), 0, ...Array(7).fill(0), ...little(chip), ...little(0)]);
    else if (op === OP.readReg) answer(op, 0);
    else if (op === OP.deflBegin) {
      written.push({ offset: word(data, 12), size: word(data, 0), sent: [] });
      answer(op);
    } else if (op === OP.deflData) {
      written.at(-1).sent.push(...data.slice(16, 16 + word(data, 0)));
      answer(op);
    } else {
      answer(op);
      // The stub says that it runs.
      if (op === OP.memEnd) slip([...new TextEncoder().encode("OHAI")]);
    }
  }

  let packet = [];
  let escaped = false;
  const port = {
    readable: null,
    writable: null,
    async open() {
      port.readable = new ReadableStream({ start: (controller) => (out = controller) });
      port.writable = new WritableStream({
        write(chunk) {
          for (const b of chunk) {
            if (b === END) {
              if (packet.length > 0) take(Uint8Array.from(packet));
              packet = [];
            } else if (b === ESC) escaped = true;
            else {
              packet.push(escaped ? (b === 0xdc ? END : ESC) : b);
              escaped = false;
            }
          }
        },
      });
    },
    async close() {
      port.readable = port.writable = null;
    },
    async setSignals() {},
    getInfo: () => ({}),
    addEventListener() {},
    removeEventListener() {},
  };
  const serial = { requestPort: async () => port, getPorts: async () => [port], addEventListener() {}, removeEventListener() {} };
  Object.defineProperty(Navigator.prototype, "serial", { get: () => serial, configurable: true });

  const hex = (buffer) => [...new Uint8Array(buffer)].map((b) => b.toString(16).padStart(2, "0")).join("");
  /** Offset, length and SHA-256 of everything that was written. */
  globalThis.onBoard = () =>
    Promise.all(
      written.map(async ({ offset, sent }) => {
        const plain = new Blob([Uint8Array.from(sent)]).stream().pipeThrough(new DecompressionStream("deflate"));
        const bytes = await new Response(plain).arrayBuffer();
        return { offset, length: bytes.byteLength, sha256: hex(await crypto.subtle.digest("SHA-256", bytes)) };
      }),
    );
}
