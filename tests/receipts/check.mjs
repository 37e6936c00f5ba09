// Opens the sample receipts in a headless browser and fails on anything that axe finds wrong for people who see, hear or
// print them differently; then reads the PDFs as a reader would.
//
// node check.mjs <folder written by the example `samples` of parkade-receipts>

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

// The package brings the system libraries that it needs; by this it unpacks and uses them, so none has to be installed.
process.env.AWS_LAMBDA_JS_RUNTIME ??= "nodejs22.x";
const { default: chromium } = await import("@sparticuz/chromium");
const { default: axe } = await import("axe-core");
const { default: puppeteer } = await import("puppeteer-core");
const { getDocumentProxy } = await import("unpdf");

// A desk, and the narrowest width at which nothing may need scrolling in two directions (WCAG 1.4.10).
const WIDTHS = [1280, 320];
const folder = process.argv[2];
const samples = JSON.parse(await readFile(join(folder, "expected.json"), "utf8"));
let passed = 0;
let failed = 0;

async function check(name, run) {
  try {
    await run();
    passed += 1;
  } catch (error) {
    failed += 1;
    console.error(`FAILED ${name}\n${error.message}`);
  }
}

// Serves each page as the API does: with the policy that allows its style and nothing else.
async function serve() {
  const server = createServer(async (request, response) => {
    const sample = samples.find(({ name }) => request.url === `/${name}.html`);
    if (!sample) return response.writeHead(404).end();
    response.writeHead(200, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": sample.policy,
    });
    response.end(await readFile(join(folder, `${sample.name}.html`)));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, base: `http://127.0.0.1:${server.address().port}` };
}

// Everything that axe knows, the recommendations included.
async function violations(page) {
  await page.evaluate(axe.source);
  const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(" ")}`);
}

async function checkPage(browser, base, sample) {
  const page = await browser.newPage();
  const refused = [];
  page.on("console", (message) => refused.push(message.text()));
  page.on("requestfailed", (request) => refused.push(request.url()));
  try {
    for (const width of WIDTHS) {
      await page.setViewport({ width, height: 900 });
      const response = await page.goto(`${base}/${sample.name}.html`);
      assert.equal(response.status(), 200);
      assert.deepEqual(await violations(page), [], `at ${width} px`);
      const seen = await page.evaluate(() => ({
        lang: document.documentElement.lang,
        text: document.body.innerText,
        styled: getComputedStyle(document.querySelector("table")).borderCollapse,
        wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
      }));
      assert.equal(seen.lang, sample.lang);
      assert.ok(seen.text.includes(sample.number) && seen.text.includes(sample.total), seen.text);
      assert.equal(seen.styled, "collapse", "the policy must allow the page's own style");
      assert.ok(!seen.wide, `at ${width} px the page scrolls sideways`);
    }
    assert.deepEqual(refused, []);
  } finally {
    await page.close();
  }
}

// A check that cannot fail says nothing.
async function checkTheCheck(browser, base) {
  const page = await browser.newPage();
  try {
    await page.goto(`${base}/${samples[0].name}.html`);
    await page.evaluate(() => {
      document.documentElement.removeAttribute("lang");
      document.querySelector("footer p").style.color = "#ddd";
    });
    const found = (await violations(page)).map((violation) => violation.split(":")[0]);
    assert.deepEqual(found.sort(), ["color-contrast", "html-has-lang"]);
  } finally {
    await page.close();
  }
}

async function checkPdf(sample) {
  const data = new Uint8Array(await readFile(join(folder, `${sample.name}.pdf`)));
  const pdf = await getDocumentProxy(data);
  let text = "";
  const roles = new Set();
  const collect = (node) => {
    if (node.role) roles.add(node.role);
    node.children?.forEach(collect);
  };
  for (let number = 1; number <= pdf.numPages; number += 1) {
    const page = await pdf.getPage(number);
    text += (await page.getTextContent()).items.map((item) => item.str).join(" ");
    collect(await page.getStructTree());
  }
  assert.ok(text.includes(sample.number) && text.includes(sample.total), text);
  assert.equal((await pdf.getMarkInfo()).Marked, true);
  const { info, metadata } = await pdf.getMetadata();
  assert.equal(info.Language, sample.lang);
  assert.ok(info.Title.includes(sample.number));
  assert.equal(metadata.get("pdfuaid:part"), "1");
  assert.equal(metadata.get("pdfaid:part"), "2");
  for (const role of ["H1", "P", "Table", "Caption", "TR", "TH", "TD"]) assert.ok(roles.has(role), `${role} is missing`);
}

const { server, base } = await serve();
const browser = await puppeteer.launch({
  executablePath: await chromium.executablePath(),
  headless: "shell",
  // As root there is no sandbox; nothing but the pages above is opened. The rest keeps the browser from calling home.
  args: [
    "--no-sandbox",
    "--no-zygote",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
  ],
});
try {
  await check("the check itself", () => checkTheCheck(browser, base));
  for (const sample of samples) {
    await check(`${sample.name}.html`, () => checkPage(browser, base, sample));
    await check(`${sample.name}.pdf`, () => checkPdf(sample));
  }
} finally {
  await browser.close();
  server.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 1 ? 0 : 1);
