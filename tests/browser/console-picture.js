// Takes the pictures of the console for the manual, wide and narrow, from a stack with a little to see:
//   BINARIES=target/debug CHROMIUM=/usr/bin/chromium node tests/browser/console-picture.js docs/images
//   for each: pngquant --force --strip --speed 1 --quality 70-95 --output FILE FILE

import { Browser, Stack } from "./support.js";

const [folder] = process.argv.slice(2);
const [browser, stack] = await Promise.all([Browser.start(), Stack.start()]);
const page = await browser.page(stack.console_url, { viewport: { width: 1280, height: 1260 } });
const press = (name) => page.getByRole("button", { name, exact: true }).click();

await press("One Tea 茶 more");
await press("One Tea 茶 more");
await press("One Coffee 咖啡 more");
await press("Buy");
const paid = await page.locator("#screen .sheet .id").innerText();
await press(`Pay ${paid}`);
await stack.paid(paid);
await press(`Done ${paid}`);
await press(`Ask for a refund ${paid}`);
await page.getByLabel("Amount in yuan").fill("3.00");
await page.getByLabel("Reason").fill("the second tea was cold");
await page.getByRole("dialog").getByRole("button", { name: "Ask for a refund" }).click();
await page.locator("#refunds > li").waitFor();
await page.getByLabel("At a desk").check();
await press("One Cake 蛋糕 more");
await press("Show code");
await page.getByRole("button", { name: /^Scan the code/ }).click();
await press(`Timeline ${paid}`);
const change = page.locator("#entries details.table").filter({ hasText: "NOTPAY" }).filter({ hasText: "SUCCESS" });
await change.locator("> summary").click();
await page.locator("#said").evaluate((said) => said.replaceChildren());
const settle = () => page.evaluate(() => { scrollTo(0, 0); document.activeElement.blur(); });
await settle();
await page.mouse.move(0, 0);
await page.screenshot({ path: `${folder}/console.png` });

await page.emulateMedia({ colorScheme: "dark" });
await page.setViewportSize({ width: 390, height: 1500 });
await page.getByRole("tab", { name: /Both books/ }).click();
await settle();
await page.screenshot({ path: `${folder}/console-narrow.png`, fullPage: true });
await browser.done();
await browser.stop();
await stack.stop();
