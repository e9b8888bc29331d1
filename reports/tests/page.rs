//! The page of a synthetic run.

mod common;

use edgemaxx_report::html;

#[test]
fn the_demo_page_is_written_for_the_browser_tests() {
    let run = common::run(&common::demo(), 5, 8, 64, None);
    let page = html(&run.view(), &run).expect("page");
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.html");
    std::fs::write(path, &page).expect("target folder");
    assert!(page.contains("student-5 wins"));
}
