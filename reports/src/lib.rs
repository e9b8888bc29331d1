//! Renders a run as HTML, Markdown and JUnit.
