// Finds the number that the faucet wants with a request. SHA-256 is here because browsers
// have their own only where a page came by https.
"use strict";
(() => {
  const form = document.getElementById("faucet");
  if (!form) return;
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const fraction = (x) => ((x - Math.floor(x)) * 4294967296) | 0;
  const K = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));
  const H = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));
  const w = new Int32Array(64);
  const block = (h, view, at) => {
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15], y = w[i - 2];
      w[i] = (w[i - 16] + w[i - 7] + (((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)) + (((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10))) | 0;
    }
    let [a, b, c, d, e, f, g, j] = h;
    for (let i = 0; i < 64; i++) {
      const s = (j + (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const t = ((((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      j = g; g = f; f = e; e = (d + s) | 0; d = c; c = b; b = a; a = (s + t) | 0;
    }
    h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e; h[5] += f; h[6] += g; h[7] += j;
  };
  const firstWord = (text) => {
    const length = text.length, padded = new Uint8Array(((length + 8) >> 6 << 6) + 64);
    for (let i = 0; i < length; i++) padded[i] = text.charCodeAt(i);
    padded[length] = 0x80;
    const view = new DataView(padded.buffer), h = H.slice();
    view.setUint32(padded.length - 4, 8 * length);
    for (let at = 0; at < padded.length; at += 64) block(h, view, at);
    return h[0] >>> 0;
  };
  form.addEventListener("submit", (event) => {
    const nonce = form.elements.nonce, address = form.elements.address;
    address.value = address.value.trim();
    const start = `${form.dataset.challenge}:${address.value}:`;
    const good = (n) => firstWord(start + n) >>> (32 - Number(form.dataset.bits)) === 0;
    if (nonce.value && good(nonce.value)) return;
    event.preventDefault();
    document.getElementById("working").hidden = false;
    form.querySelector("button").disabled = true;
    let n = 0;
    const some = () => { // in pieces, so that the page stays alive
      for (const end = n + 20000; n < end; n++) {
        if (good(n)) {
          nonce.value = n;
          form.submit();
          return;
        }
      }
      setTimeout(some);
    };
    some();
  });
})();
