//! Documents for the schema's tests, at random.

use serde_json::{Map, Value, json};

/// Documents at random: always the same ones.
pub(crate) struct Documents {
    state: u64,
}

impl Documents {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// From 0 to `below`, exclusively.
    fn number(&mut self, below: usize) -> usize {
        // A linear congruential generator with Knuth's constants.
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).unwrap() % below
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.number(chances) == 0
    }

    fn one_of(&mut self, values: &[Value]) -> Value {
        values[self.number(values.len())].clone()
    }

    pub(crate) fn next(&mut self) -> Value {
        let mut document = Map::new();
        let names: Vec<Value> = (0..self.number(4)).map(|number| json!(format!("dc{number}"))).collect();
        if !self.one_in(8) {
            let sites = names.iter().map(|name| self.site(name)).collect();
            document.insert("datacenters".to_owned(), sites);
        }
        if !self.one_in(3) && names.len() > 1 {
            let links = (0..self.number(4)).map(|_| self.link(&names)).collect();
            document.insert("links".to_owned(), links);
        }
        if self.one_in(3) {
            let templates = (0..self.number(3)).map(|number| self.template(number)).collect();
            document.insert("templates".to_owned(), templates);
        }
        self.spoil(&mut document);
        document.into()
    }

    /// Now and then a key too many, one without a value, or one with a wrong one.
    fn spoil(&mut self, map: &mut Map<String, Value>) {
        let wrong = [
            json!(null),
            json!([]),
            json!({}),
            json!("x"),
            json!(""),
            json!(7),
            json!(-1),
            json!(0.3),
            json!(true),
        ];
        if self.one_in(40) {
            map.insert("unknown".to_owned(), json!(1));
        }
        let keys: Vec<String> = map.keys().cloned().collect();
        for key in keys {
            if self.one_in(60) {
                map.remove(&key);
            } else if self.one_in(60) {
                map.insert(key, self.one_of(&wrong));
            }
        }
    }

    fn site(&mut self, name: &Value) -> Value {
        if self.one_in(2) {
            return if self.one_in(40) { json!("no name") } else { name.clone() };
        }
        let mut site = Map::new();
        site.insert("name".to_owned(), name.clone());
        self.traits(&mut site);
        self.spoil(&mut site);
        site.into()
    }

    fn traits(&mut self, map: &mut Map<String, Value>) {
        if self.one_in(3) {
            let value = self.one_of(&[json!("x"), json!(7), json!(true), json!("")]);
            map.insert("metadata".to_owned(), json!({ "key": value }));
        }
        if self.one_in(3) {
            let mut capacity = Map::new();
            capacity.insert("cpu".to_owned(), self.one_of(&[json!(4), json!(0.5), json!("2"), json!(1e-3)]));
            capacity.insert("memory".to_owned(), self.one_of(&[json!("8GiB"), json!(1024), json!("1.5 g")]));
            self.spoil(&mut capacity);
            map.insert("capacity".to_owned(), capacity.into());
        }
        if self.one_in(4) {
            map.insert("engine".to_owned(), json!("docker"));
        }
    }

    fn link(&mut self, names: &[Value]) -> Value {
        let mut ends = vec![self.one_of(names), self.one_of(names)];
        if self.one_in(40) {
            ends.push(self.one_of(names));
        }
        if self.one_in(3) {
            return ends.into();
        }
        let mut link = self.directions();
        link.insert("ends".to_owned(), ends.into());
        if self.one_in(3) {
            link.insert("name".to_owned(), json!(format!("link{}", self.number(50))));
        }
        self.spoil(&mut link);
        link.into()
    }

    fn directions(&mut self) -> Map<String, Value> {
        let mut map = self.properties();
        for key in ["forward", "backward"] {
            if self.one_in(4) {
                map.insert(key.to_owned(), self.properties().into());
            }
        }
        map
    }

    fn properties(&mut self) -> Map<String, Value> {
        let mut map = Map::new();
        for (key, values) in [
            ("bandwidth", [json!("100Mbps"), json!(1e6), json!("2.5 Gbit/s"), json!("64")]),
            ("delay", [json!("10ms"), json!("60s"), json!(0), json!("61s")]),
            ("jitter", [json!("1ms"), json!("0"), json!(0), json!("20us")]),
            ("loss", [json!("0.1%"), json!(0.25), json!("7ppm"), json!(0)]),
            ("mtu", [json!(1500), json!(9000), json!("1280"), json!(1400.0)]),
            ("queue", [json!(1), json!(1000), json!("50"), json!(2e3)]),
        ] {
            if self.one_in(3) {
                let value = self.one_of(&values);
                map.insert(key.to_owned(), value);
            }
        }
        self.spoil(&mut map);
        map
    }

    fn template(&mut self, number: usize) -> Value {
        let mut template = Map::new();
        let shapes = [
            ("ring", &["count"][..]),
            ("star", &["count"]),
            ("mesh", &["count"]),
            ("tree", &["fanout", "depth"]),
            ("grid", &["rows", "columns"]),
        ];
        let (shape, sizes) = shapes[self.number(shapes.len())];
        template.insert("shape".to_owned(), json!(shape));
        template.insert("prefix".to_owned(), json!(format!("t{number}-")));
        for size in sizes {
            template.insert(
                (*size).to_owned(),
                self.one_of(&[json!(1), json!(2), json!(3), json!(4), json!("5")]),
            );
        }
        if self.one_in(3) {
            template.insert("links".to_owned(), self.directions().into());
        }
        self.traits(&mut template);
        self.spoil(&mut template);
        template.into()
    }
}
