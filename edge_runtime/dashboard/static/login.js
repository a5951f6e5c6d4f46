// A link may carry the token behind its #, which no server and no log ever sees; it does not stay in the address.
const hash = location.hash;
if (location.search === "?wrong") document.getElementById("wrong").hidden = false;
if (location.search || hash) history.replaceState(null, "", "/login.html");
if (hash.startsWith("#token=")) {
  document.getElementById("token").value = decodeURIComponent(hash.slice(7));
  document.querySelector("form").requestSubmit();
}
