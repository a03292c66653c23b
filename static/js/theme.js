// Loaded blocking in <head>, so that the first paint already has the right colours.
(() => {
  var root = document.documentElement;
  var dark = window.matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem("theme") || "system";
    } catch {
      return "system"; // storage may be forbidden; the system's choice still works
    }
  }

  function apply() {
    var theme = chosen();
    root.dataset.bsTheme = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
  }

  window.amcTheme = {
    chosen: chosen,
    choose: (theme) => {
      try {
        localStorage.setItem("theme", theme);
      } catch {
        root.dataset.bsTheme = theme;
        return;
      }
      apply();
    },
  };
  root.classList.add("js");
  apply();
  dark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
})();
